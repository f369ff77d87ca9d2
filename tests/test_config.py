"""The machine's settings: who has the last word, and what cannot be read."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from envlock.config import Config, load_config
from envlock.errors import UsageError
from envlock.limits import Limits
from envlock.project import Project, find_project


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any settings."""
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def _write(home: Path, name: str, text: str) -> Path:
    path = home / ".config" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _pypi(environ: dict[str, str]) -> str:
    return load_config(environ).index_urls()["pypi"]


UV = '[[index]]\nurl = "https://other.example.com"\n[[index]]\nurl = "{}"\ndefault = true\n'
LADDER = ["library", "pip.conf", "PIP", "uv.toml", "UV", "config.toml", "ENVLOCK"]


@pytest.mark.parametrize("steps", range(len(LADDER)))
def test_who_names_the_index(home: Path, steps: int) -> None:
    """Each step beats all before it."""
    environ = {}
    given = LADDER[: steps + 1]
    if "pip.conf" in given:
        _write(home, "pip/pip.conf", "[global]\nindex-url = https://pip-conf.example.com\n")
    if "PIP" in given:
        environ["PIP_INDEX_URL"] = "https://pip.example.com"
    if "uv.toml" in given:
        _write(home, "uv/uv.toml", UV.format("https://uv-toml.example.com"))
    if "UV" in given:
        environ["UV_INDEX_URL"] = "https://uv.example.com"
    if "config.toml" in given:
        _write(home, "envlock/config.toml", '[indexes]\npypi = "https://config-toml.example.com"\n')
    if "ENVLOCK" in given:
        environ["ENVLOCK_INDEX_PYPI"] = "https://envlock.example.com"
    name = given[-1].lower().replace(".", "-")
    url = _pypi(environ)
    if name == "library":
        assert url == PYPI_SIMPLE_ENDPOINT
    else:
        assert url == f"https://{name}.example.com"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"UV_DEFAULT_INDEX": "mine=https://a.example.com"}, "https://a.example.com"),
        ({"UV_DEFAULT_INDEX": "https://a.example.com/?x=1"}, "https://a.example.com/?x=1"),
        ({"UV_DEFAULT_INDEX": "m=https://a.example.com/?x=1"}, "https://a.example.com/?x=1"),
        (
            {"UV_DEFAULT_INDEX": "https://a.example.com", "UV_INDEX_URL": "https://b.example.com"},
            "https://a.example.com",
        ),
    ],
)
def test_uv_variables(environ: dict[str, str], url: str) -> None:
    assert _pypi(environ) == url


@pytest.mark.parametrize(
    "written", ["https://u:s3cr3t@h.example.com:abc/", "https://[::1/s", "s3cr3t", "ftp://s3cr3t/"]
)
def test_an_index_of_others_that_is_none(home: Path, written: str) -> None:
    """It would be looked for until somebody says that no index has the package."""
    file = _write(home, "pip/pip.conf", f"[global]\nindex-url = {written}\n")
    for environ, where in (
        ({"UV_INDEX_URL": written}, "UV_INDEX_URL"),
        ({"PIP_INDEX_URL": written}, "PIP_INDEX_URL"),
        ({}, str(file)),
    ):
        with pytest.raises(UsageError, match="is no URL") as raised:
            _pypi(environ)
        assert raised.value.where == where
        assert "s3cr3t" not in str(raised.value)


def test_a_folder_as_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simple").mkdir()
    for written in ("simple", str(tmp_path / "simple"), "./simple/"):
        assert _pypi({"UV_DEFAULT_INDEX": written}) == (tmp_path / "simple").as_uri()


def test_files_that_variables_name(home: Path) -> None:
    uv = _write(home, "my-uv.toml", 'index-url = "https://uv.example.com"\n')
    pip = _write(home, "my-pip.conf", "[global]\nindex_url = https://pip.example.com\n")
    environ = {"PIP_CONFIG_FILE": str(pip)}
    assert _pypi(environ) == "https://pip.example.com"
    environ["UV_CONFIG_FILE"] = str(uv)
    assert _pypi(environ) == "https://uv.example.com"
    assert _pypi({**environ, "UV_NO_CONFIG": "1"}) == "https://pip.example.com"


def test_pip_without_configuration(home: Path) -> None:
    _write(home, "pip/pip.conf", "[global]\nindex-url = https://pip.example.com\n")
    assert _pypi({}) == "https://pip.example.com"
    assert _pypi({"PIP_CONFIG_FILE": "/dev/null"}) != "https://pip.example.com"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("uv/uv.toml", "= broken"),
        ("uv/uv.toml", "index = 3\n"),
        ("uv/uv.toml", "index = ['x']\n"),
        ("pip/pip.conf", "no section\n"),
        ("pip/pip.conf", "[global]\nindex-url\n"),
        ("pip/pip.conf", "[install]\nindex-url = https://x.example.com\n"),
    ],
)
def test_what_others_wrote_badly_does_not_matter(home: Path, file: str, text: str) -> None:
    plain = _pypi({})
    _write(home, file, text)
    assert _pypi({}) == plain


FULL = """\
cache-dir = "~/cache"
conda-names = "~/names.json"
jobs = 3
[indexes]
own = "https://own.example.com/simple"
[mirrors]
debian = ["https://one.example.com/debian/", "https://two.example.com/debian"]
debian-security = "https://one.example.com/security https://two.example.com/security/"
[snapshots]
debian = "https://snapshot.example.com/{archive}/{timestamp}"
[keyrings]
debian = "~/keyring.gpg"
"""


def test_all_there_is(home: Path) -> None:
    _write(home, "envlock/config.toml", FULL)
    config = load_config({})
    assert config.cache_dir == home / "cache"
    assert config.conda_names == home / "names.json"
    assert config.jobs == 3
    assert config.indexes["own"] == "https://own.example.com/simple"
    assert config.mirrors == {
        "debian": ("https://one.example.com/debian", "https://two.example.com/debian"),
        "debian-security": ("https://one.example.com/security", "https://two.example.com/security"),
    }
    assert config.keyrings == {"debian": home / "keyring.gpg"}
    assert config.snapshots["debian"].startswith("https://snapshot.example.com/")


def test_variables_beat_the_file(home: Path) -> None:
    _write(home, "envlock/config.toml", FULL)
    config = load_config(
        {
            "ENVLOCK_CACHE_DIR": "/elsewhere",
            "ENVLOCK_CONDA_NAMES": "/names.json",
            "ENVLOCK_JOBS": "5",
            "ENVLOCK_INDEX_OWN": "https://a.example.com",
            "ENVLOCK_INDEX_PYTORCH_CU124": "https://b.example.com",
            "ENVLOCK_MIRROR_DEBIAN": "https://c.example.com/",
            "ENVLOCK_MIRROR_DEBIAN_SECURITY": "",
            "ENVLOCK_SNAPSHOT_DEBIAN": "https://d.example.com",
            "ENVLOCK_KEYRING_DEBIAN": "/keys",
        }
    )
    assert config.cache_dir == Path("/elsewhere")
    assert config.conda_names == Path("/names.json")
    assert config.jobs == 5
    assert config.indexes["own"] == "https://a.example.com"
    assert config.indexes["pytorch-cu124"] == "https://b.example.com"
    assert config.mirrors["debian"] == ("https://c.example.com",)
    assert len(config.mirrors["debian-security"]) == 2
    assert config.snapshots == {"debian": "https://d.example.com"}
    assert config.keyrings == {"debian": Path("/keys")}


def test_defaults(home: Path) -> None:
    config = load_config({})
    assert config == Config(
        cache_dir=home / ".cache" / "envlock", default_index=config.default_index
    )


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a container has it that runs by a number which its /etc/passwd does not know."""

    def nobody(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(UsageError, match="has no home") as raised:
        load_config({})
    assert "ENVLOCK_CACHE_DIR" in str(raised.value)
    config = load_config({"ENVLOCK_CACHE_DIR": str(tmp_path)})
    assert config.cache_dir == tmp_path
    assert config.index_urls()["pypi"] == PYPI_SIMPLE_ENDPOINT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cachedir = 'x'", "unknown setting 'cachedir'"),
        ("= 1", "cannot be read"),
        ("indexes = 'x'", "indexes must be a table"),
        ("[indexes]\nown = 3", "indexes.own must be a text, not 3"),
        ("[keyrings]\ndebian = ['x']", "keyrings.debian must be a text"),
        ("[snapshots]\ndebian = true", "snapshots.debian must be a text"),
        ("[mirrors]\ndebian = 3", "mirrors.debian must be a URL"),
        ("[mirrors]\ndebian = [3]", "mirrors.debian must be a URL"),
        ("cache-dir = 3", "cache-dir must be a text"),
        ("jobs = 0", "jobs must be a number from 1 to 64"),
        ("jobs = true", "jobs must be a number"),
        ("jobs = 'many'", "jobs must be a number"),
        ("\xff", "cannot be read"),
    ],
)
def test_what_cannot_be_read(home: Path, text: str, message: str) -> None:
    path = _write(home, "envlock/config.toml", "")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=message) as caught:
        load_config({})
    assert caught.value.exit_code == 2
    assert caught.value.where == str(path)


def test_a_named_file(home: Path) -> None:
    path = _write(home, "other.toml", "jobs = 2\n")
    assert load_config({"ENVLOCK_CONFIG": str(path)}).jobs == 2
    with pytest.raises(UsageError, match="a file that is not there"):
        load_config({"ENVLOCK_CONFIG": str(path) + "x"})
    with pytest.raises(UsageError, match="jobs must be a number from 1 to 64, not '99'") as caught:
        load_config({"ENVLOCK_JOBS": "99"})
    assert caught.value.where == "ENVLOCK_JOBS"


def test_projects(tmp_path: Path) -> None:
    root = tmp_path / "p"
    (root / "envs").mkdir(parents=True)
    (root / "locks").mkdir()
    for name in ("b.yaml", "a.yaml", ".hidden.yaml", ".#a.yaml", "notes.txt"):
        (root / "envs" / name).write_text("")
    for name in ("a.linux-64", "a.b.linux-64", "a.linux-aarch64", "a.other"):
        (root / "locks" / f"{name}.lock.json").write_text("")
    inside = root / "envs"
    project = find_project(inside)
    assert project == Project(root=root)
    assert project.names() == ["a", "b"]
    assert project.locked_platforms("a") == ["linux-64", "linux-aarch64"]
    assert project.shown(project.spec("a")) == "envs/a.yaml"
    assert project.shown(Path("/elsewhere")) == "/elsewhere"
    with pytest.raises(UsageError, match="there is no environment 'bb'") as caught:
        project.spec("bb")
    assert caught.value.hint == "did you mean b?"
    with pytest.raises(UsageError, match="there is no envs/ folder"):
        find_project(Path("/"))


@pytest.mark.parametrize(
    "value", ["not a url", "x", "https://", "https:///x", "ftp://h/x", "http://h:x/", "file://x"]
)
@pytest.mark.parametrize("name", ["ENVLOCK_INDEX_PYPI", "ENVLOCK_MIRROR_DEBIAN"])
def test_variables_that_are_no_urls(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is no URL"):
        load_config({name: value})


@pytest.mark.parametrize("table", ["indexes", "mirrors"])
def test_settings_that_are_no_urls_are_not_repeated(home: Path, table: str) -> None:
    path = _write(home, "envlock/config.toml", f'[{table}]\nown = "me:s3cr3t@host/x"\n')
    with pytest.raises(UsageError, match=f"{table}.own is no URL") as caught:
        load_config({})
    assert caught.value.where == str(path)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["https://me:s3cr3t@host:8443/simple/", "http://[::1]/x", "file:///srv/index"]
)
def test_urls(value: str) -> None:
    environ = {"ENVLOCK_INDEX_PYPI": value, "ENVLOCK_MIRROR_DEBIAN": f"{value} {value}"}
    assert _pypi(environ) == value
    assert len(load_config(environ).mirrors["debian"]) == 2


def test_a_project_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    with pytest.raises(UsageError, match="there is no such folder") as caught:
        find_project(tmp_path / "typo")
    assert caught.value.where == str(tmp_path / "typo")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "asked",
    ["web.yaml", "envs/web.yaml", "./envs/web.yml", "locks/web.linux-64.lock.json", "WEB", "wbe"],
)
def test_another_spelling_of_a_name(tmp_path: Path, asked: str) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "web.yaml").write_text("")
    project = find_project(tmp_path)
    for look in (project.spec, project.locked_platforms):
        with pytest.raises(UsageError) as caught:
            look(asked)
        assert caught.value.hint == "did you mean web?"


def test_a_file_whose_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "täst.yaml").write_text("")
    with pytest.raises(UsageError, match="is no name of an environment") as caught:
        find_project(tmp_path).spec("täst")
    assert caught.value.where == "envs/täst.yaml"
    assert "lower case letters" in (caught.value.hint or "")


def test_limits_of_checks(home: Path) -> None:
    _write(
        home, "envlock/config.toml", '[checks]\nseconds = 60\nmemory = "8 GiB"\ndisk = 1048576\n'
    )
    found = load_config({"ENVLOCK_CHECK_SECONDS": "5", "ENVLOCK_CHECK_PROCESSES": "100"}).checks
    assert found == Limits(seconds=5, memory=8 << 30, processes=100, disk=1 << 20)
    assert load_config({"ENVLOCK_CONFIG": str(_write(home, "none.toml", ""))}).checks == Limits()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("checks = 3", "checks must be a table"),
        ("[checks]\ncpus = 3", "checks must be a table of limits"),
        ("[checks]\nseconds = 0", "checks.seconds must be a whole number"),
        ("[checks]\nseconds = 1.5", "checks.seconds must be a whole number"),
        ("[checks]\nprocesses = true", "checks.processes must be a whole number"),
        ('[checks]\nmemory = "8 XB"', "checks.memory must be a size"),
        ("[checks]\nmemory = 8", "checks.memory must be a size of 1 MiB or more"),
        ('[checks]\ndisk = "-1 GiB"', "checks.disk must be a size"),
    ],
)
def test_limits_that_are_none(home: Path, text: str, message: str) -> None:
    path = _write(home, "envlock/config.toml", text)
    with pytest.raises(UsageError, match=message) as caught:
        load_config({})
    assert caught.value.where == str(path)
    with pytest.raises(UsageError, match="ENVLOCK_CHECK_DISK must be a size"):
        load_config({"ENVLOCK_CONFIG": str(_write(home, "n.toml", "")), "ENVLOCK_CHECK_DISK": "x"})


def test_almost_a_spec(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "web.yml").write_text("")
    (tmp_path / "envs" / "gone.yaml").symlink_to("nowhere.yaml")
    project = find_project(tmp_path)
    with pytest.raises(UsageError, match=r"no envs/web\.yaml, but envs/web\.yml") as caught:
        project.spec("web")
    assert caught.value.hint == "rename it: mv envs/web.yml envs/web.yaml"
    with pytest.raises(UsageError, match="this link leads to no file") as caught:
        project.spec("gone")
    assert caught.value.where == "envs/gone.yaml"


@pytest.mark.parametrize("name", ["a" * 65, "a" * 5000])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "envs").mkdir()
    for look in (find_project(tmp_path).spec, find_project(tmp_path).locked_platforms):
        with pytest.raises(UsageError, match="is no name of an environment") as caught:
            look(name)
        assert len(str(caught.value)) < 250
