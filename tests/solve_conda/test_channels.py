"""Channels over HTTP: mirrors, credentials, what fails and how; what is read of packages."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from envlock.channels import ChannelAccess
from envlock.errors import (
    ArtifactError,
    FetchError,
    IntegrityError,
    UnsatisfiableError,
    UsageError,
)
from envlock.lock.codec import dump_lock

from ..makers.conda import PLACEHOLDER, Prefixed, distribution, index_channel, make_conda
from ..makers.index import Fault, Index
from .solving import CondaSolver, conda

if TYPE_CHECKING:
    from pathlib import Path

NUMPY = 'conda:\n  channels: [main]\n  dependencies: ["numpy", "pandas"]\n'
DEAD = "http://127.0.0.1:9/main"


def test_the_same_lock_from_a_server_and_from_a_folder(
    served: CondaSolver, solver: CondaSolver, index: Index
) -> None:
    lock = served(NUMPY)
    assert dump_lock(lock) == dump_lock(solver(NUMPY))
    assert index.host not in dump_lock(lock)


def test_packages_are_read_by_range(served: CondaSolver, index: Index) -> None:
    served(NUMPY)
    (whole,) = [a for a in index.asked if a.path.endswith("pandas-2.2.0-pyh_0.tar.bz2")]
    assert whole.status == 200
    parts = [a for a in index.asked if a.path.endswith("numpy-2.0.0-py312_0.conda")]
    assert parts
    assert {a.status for a in parts} == {206}
    before = len(index.asked)
    served(NUMPY)  # what was read once is kept
    assert not [a for a in index.asked[before:] if "numpy-2" in a.path or "pandas-" in a.path]


def test_a_server_without_ranges(served: CondaSolver, index: Index) -> None:
    index.faults[".conda"] = Fault(ranges=False)
    assert conda(served(NUMPY))["numpy"] == "2.0.0"


def test_a_dead_mirror_is_passed_over(served: CondaSolver) -> None:
    served.access["main"] = ChannelAccess(urls=(DEAD, *served.access["main"].urls))
    assert conda(served(NUMPY))["numpy"] == "2.0.0"


def test_every_mirror_is_dead(served: CondaSolver) -> None:
    served.access["main"] = ChannelAccess(urls=(DEAD, "http://127.0.0.1:9/again"))
    with pytest.raises(FetchError) as caught:
        served(NUMPY)
    error = caught.value
    assert error.exit_code == 3
    assert error.message == "the conda channel main cannot be read"
    assert DEAD in "\n".join(error.details)
    assert "ENVLOCK_CHANNEL_" in (error.hint or "")


def test_no_such_channel(served: CondaSolver, index: Index) -> None:
    served.access["main"] = ChannelAccess(urls=(f"{index.base}/conda/nowhere",))
    with pytest.raises(FetchError, match="there is no conda channel main"):
        served(NUMPY)


def test_no_such_folder(solver: CondaSolver, tmp_path: Path) -> None:
    solver.access["main"] = ChannelAccess(urls=((tmp_path / "nowhere").as_uri(),))
    with pytest.raises(FetchError, match="there is no conda channel main"):
        solver(NUMPY)


def test_a_folder_and_a_server(served: CondaSolver, channels: Path) -> None:
    folder = (channels / "main").as_uri()
    served.access["main"] = ChannelAccess(urls=(*served.access["main"].urls, folder))
    with pytest.raises(UsageError, match="has a folder and other places"):
        served(NUMPY)


class TestCredentials:
    def test_a_token(self, served: CondaSolver, index: Index) -> None:
        index.token = "s3cret"
        with pytest.raises(FetchError, match="cannot be read"):
            served(NUMPY)
        urls = served.access["main"].urls
        served.access["main"] = ChannelAccess(urls=urls, headers={"Authorization": "Bearer s3cret"})
        lock = served(NUMPY)
        assert conda(lock)["numpy"] == "2.0.0"
        assert "s3cret" not in dump_lock(lock)

    def test_only_the_channels_server_gets_it(self, served: CondaSolver, index: Index) -> None:
        headers = {"X-Token": "s3cret"}
        served.access["main"] = ChannelAccess(urls=served.access["main"].urls, headers=headers)
        served('conda:\n  channels: [main, other]\n  dependencies: ["numpy", "only-here"]\n')
        sent = {(a.path.split("/")[2], a.headers.get("x-token")) for a in index.asked}
        assert sent == {("main", "s3cret"), ("other", None)}

    def test_it_does_not_follow_a_redirect(
        self, served: CondaSolver, index: Index, tmp_path: Path, channels: Path
    ) -> None:
        headers = {"X-Token": "s3cret", "Authorization": "Bearer s3cret"}
        served.access["main"] = ChannelAccess(urls=served.access["main"].urls, headers=headers)
        with Index(tmp_path / "elsewhere", folders={"files-of": channels}) as elsewhere:
            name = "pandas-2.2.0-pyh_0.tar.bz2"
            index.faults[name] = Fault(redirect=f"{elsewhere.base}/files-of/main/noarch/{name}")
            served(NUMPY)
            (seen,) = elsewhere.asked
        assert not {"x-token", "authorization"} & seen.headers.keys()


def test_offline_from_the_cache(served: CondaSolver, index: Index) -> None:
    first = served(NUMPY)
    served.offline = True
    before = len(index.asked)
    assert dump_lock(served(NUMPY)) == dump_lock(first)
    assert len(index.asked) == before


def test_offline_without_a_cache(served: CondaSolver) -> None:
    served.offline = True
    with pytest.raises(FetchError, match="not in the cache, or not whole, and --offline was given"):
        served(NUMPY)


class TestOwnChannel:
    """Channels with something wrong."""

    @pytest.fixture
    def own(self, solver: CondaSolver, tmp_path: Path) -> Path:
        folder = tmp_path / "own"
        make_conda(folder, "python", "3.12.1")
        solver.access["main"] = ChannelAccess(urls=(folder.as_uri(),))
        return folder

    def test_a_package_that_is_not_the_indexed_one(self, solver: CondaSolver, own: Path) -> None:
        """Rattler takes a folder's packages as they are; envlock does not."""
        for content in ("one", "other"):
            package = make_conda(
                own, "a", "1.0", noarch="python", depends=["python"],
                files=distribution("a", "1.0", files={"a.py": content}),
            )  # fmt: skip
            if content == "one":
                index_channel(own)
        assert package.is_file()
        with pytest.raises(IntegrityError, match=r"a-1\.0-h0_0\.conda"):
            solver('conda:\n  channels: [main]\n  dependencies: ["a"]\n')

    @pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
    def test_all_ways_to_name_a_distribution(
        self, solver: CondaSolver, own: Path, suffix: str
    ) -> None:
        site = "lib/python3.12/site-packages"
        make_conda(
            own, "many", "1.0", depends=["python_abi 3.12.*"], suffix=suffix,
            files={
                **distribution("New.Style_name", "1.0", site=site),
                f"{site}/old_style-2.0-py3.12.egg-info/PKG-INFO": "",
                f"{site}/older-style-3.0-py3.12.egg-info": "",
                f"{site}/setuptools/_vendor/inner-4.0.dist-info/METADATA": "",
                "share/other-5.0.dist-info/METADATA": "",
                "bin/tool": Prefixed(f"#!{PLACEHOLDER}/bin/python\n", executable=True),
            },
        )  # fmt: skip
        make_conda(own, "python_abi", "3.12")
        index_channel(own)
        lock = solver('conda:\n  channels: [main]\n  dependencies: ["many"]\n')
        record = next(a for a in lock.of_kind("conda") if a.name == "many").conda
        assert record is not None
        assert record.provides == (
            ("new-style-name", "1.0"),
            ("old-style", "2.0"),
            ("older-style", "3.0"),
        )

    @pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
    def test_bytes_that_are_no_package(self, solver: CondaSolver, own: Path, suffix: str) -> None:
        package = make_conda(own, "a", "1.0", noarch="python", depends=["python"], suffix=suffix)
        index_channel(own)
        package.write_bytes(b"no package")
        _promise(own / "noarch", package)
        with pytest.raises(ArtifactError, match="is no conda package"):
            solver('conda:\n  channels: [main]\n  dependencies: ["a"]\n')

    def test_a_moment_in_the_past(self, solver: CondaSolver, own: Path) -> None:
        day = 86_400_000
        for n in range(3):
            stamp = 1_735_689_600_000 + n * day  # 2025-01-01 and the next days
            make_conda(own, "a", f"{n}.0", noarch="generic", timestamp=stamp)
        index_channel(own)
        _forget_indexing(own / "noarch")
        body = 'conda:\n  channels: [main]\n  dependencies: ["a"]\n'
        assert conda(solver(body)) == {"a": "2.0"}
        assert conda(solver(f"exclude-newer: 2025-01-02T12:00:00Z\n{body}")) == {"a": "1.0"}

    def test_a_channel_without_sizes(self, solver: CondaSolver, own: Path) -> None:
        make_conda(own, "a", "1.0", noarch="generic")
        index_channel(own)
        repodata = own / "noarch" / "repodata.json"
        table = json.loads(repodata.read_text())
        del table["packages.conda"]["a-1.0-h0_0.conda"]["size"]
        _rewrite(own / "noarch", table)
        with pytest.raises(
            UnsatisfiableError, match="does not tell the sha256 and the size of a 1"
        ):
            solver('conda:\n  channels: [main]\n  dependencies: ["a"]\n')


def _promise(subdir: Path, package: Path) -> None:
    """Let the index tell the truth about a file that is no package."""
    from hashlib import sha256

    table = json.loads((subdir / "repodata.json").read_text())
    for packages in (table["packages"], table.get("packages.conda", {})):
        if package.name in packages:
            data = package.read_bytes()
            packages[package.name] |= {
                "sha256": sha256(data).hexdigest(), "size": len(data),
            }  # fmt: skip
    _rewrite(subdir, table)


def _forget_indexing(subdir: Path) -> None:
    """Remove the time of indexing, which counts before that of building."""
    table = json.loads((subdir / "repodata.json").read_text())
    for packages in (table["packages"], table.get("packages.conda", {})):
        for package in packages.values():
            package.pop("indexed_timestamp", None)
    _rewrite(subdir, table)


def _rewrite(subdir: Path, table: object) -> None:
    """Write repodata.json and remove its other forms."""
    for path in subdir.glob("repodata*"):
        path.unlink()
    shutil.rmtree(subdir / "shards", ignore_errors=True)
    (subdir / "repodata.json").write_text(json.dumps(table))


class _Plain(SimpleHTTPRequestHandler):
    """Python's own server: its 304 says nothing but that."""

    answers: ClassVar[list[int]] = []

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # an old file would count as fresh
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def log_request(self, code: object = "-", size: object = "-") -> None:
        self.answers.append(code if isinstance(code, int) else 0)


def test_a_server_that_says_not_modified_and_no_more(
    channels: Path, tmp_path: Path, index: Index
) -> None:
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Plain, directory=str(channels))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/main"
        solve = CondaSolver(tmp_path / "solver", index, {"main": ChannelAccess(urls=(url,))})
        lock = solve(NUMPY)
        assert 304 not in _Plain.answers
        assert solve(NUMPY) == lock
        assert 304 in _Plain.answers
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subdir": "../../elsewhere"}, "it is h0_0 in '../../elsewhere'"),
        ({"version": "9.9"}, "the file 'victim-1.0-h0_0.conda', which cannot be"),
        ({"sha256": None}, "does not tell the sha256 and the size of victim 1.0"),
    ],
)
def test_an_index_that_lies_is_not_locked(
    tmp_path: Path, index: Index, change: dict[str, str | None], message: str
) -> None:
    folder = tmp_path / "lying"
    make_conda(folder, "victim", "1.0")
    url = index_channel(folder)
    place = folder / "linux-64" / "repodata.json"
    value = json.loads(place.read_text())
    (record,) = value["packages.conda"].values()
    record |= {key: item for key, item in change.items() if item is not None}
    for key in (key for key, item in change.items() if item is None):
        del record[key]
    shutil.rmtree(place.parent / "shards")
    for other in place.parent.glob("repodata[._]*"):
        other.unlink()
    place.write_text(json.dumps(value))
    solve = CondaSolver(tmp_path / "solver", index, {"lying": ChannelAccess(urls=(url,))})
    with pytest.raises(UnsatisfiableError) as caught:
        solve("conda:\n  channels: [lying]\n  dependencies: [victim]\n")
    assert message in caught.value.message
