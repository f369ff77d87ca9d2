"""conda packages as entries: what is installed where, and what is refused by name."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import ArtifactError
from envlock.layers.condafacts import exported
from envlock.layers.condapaths import OLD_PLACEHOLDER, link_scripts
from envlock.layers.condaprefix import replaced
from envlock.layers.scheme import Scheme, shebang

from ..makers.conda import PLACEHOLDER, Content, Link, Prefixed, Program, distribution, make_conda
from .making import (
    BINARY,
    Found,
    conda_artifact,
    entries,
    make_zoo,
    repacked,
    with_paths,
    with_payload,
)  # fmt: skip

if TYPE_CHECKING:
    from pathlib import Path

SITE = "opt/env/lib/python3.12/site-packages"


@pytest.fixture
def zoo(tmp_path: Path) -> dict[str, dict[str, Found]]:
    return {path.name.split("-")[0]: entries(path) for path in make_zoo(tmp_path / "channel")}


def test_the_prefix_in_text_and_in_binary(zoo: dict[str, dict[str, Found]]) -> None:
    tools = zoo["tools"]
    assert tools["opt/env/bin/tool"].data == b"#!/opt/env/bin/python3.12 -u\nprint('/opt/env')\n"
    assert tools["opt/env/bin/tool"].mode == 0o755
    assert tools["opt/env/etc/tool.conf"].data == b"home=/opt/env\nlib=/opt/env/lib\n"
    assert tools["opt/env/etc/tool.conf"].mode == 0o644
    binary = tools["opt/env/bin/prog"].data
    assert len(binary) == len(BINARY)
    assert PLACEHOLDER.encode() not in binary
    strings = [text for text in binary[64:].split(b"\0") if text]
    assert strings == [b"/opt/env/lib", b"plain", b"/opt/env/a:/opt/env/b", b"tail/opt/env"]
    assert binary.index(b"plain") == BINARY.index(b"plain")


def test_links_and_modes(zoo: dict[str, dict[str, Found]]) -> None:
    assert zoo["python"]["opt/env/bin/python"] == Found("symlink", 0o777, target="python3.12")
    assert zoo["tools"]["opt/env/lib/data"].target == "../share/tool/größe"
    assert zoo["old"]["opt/env/bin/old"] == Found("file", 0o755, b"#!/bin/sh\n")


def test_a_noarch_python_package(zoo: dict[str, dict[str, Found]]) -> None:
    pure = zoo["pure"]
    assert f"{SITE}/pure/__init__.py" in pure
    assert f"{SITE}/pure-2.5.dist-info/METADATA" in pure
    assert "opt/env/bin/pure-old" in pure
    script = pure["opt/env/bin/pure-sub"]
    assert script.mode == 0o755
    assert script.data.splitlines() == [
        b"#!/opt/env/bin/python3.12", b"import sys", b"from pure.cli import App",
        b'if __name__ == "__main__":', b"    sys.exit(App.run())",
    ]  # fmt: skip


def test_site_packages_elsewhere(tmp_path: Path) -> None:
    path = make_conda(tmp_path, "pure", "1", noarch="python", files={"site-packages/pure.py": b""})
    scheme = Scheme(prefix="opt/env", python="3.13", site="lib/python3.13t/site-packages")
    assert "opt/env/lib/python3.13t/site-packages/pure.py" in entries(path, scheme)


def test_the_record(tmp_path: Path) -> None:
    from rattler import PrefixRecord

    for path in make_zoo(tmp_path / "channel"):
        artifact = conda_artifact(path, channel="conda-forge/label/x")
        found = entries(path, artifact=artifact)
        name = f"opt/env/conda-meta/{path.name.removesuffix(path.suffix).removesuffix('.tar')}.json"
        assert list(found)[-1] == name
        data = json.loads(found[name].data)
        assert data["url"] == f"https://conda.invalid/conda-forge/label/x/{artifact.path}"
        assert str(tmp_path) not in found[name].data.decode()
        file = tmp_path / name.rpartition("/")[2]
        file.write_bytes(found[name].data)
        record = PrefixRecord.from_path(file)
        assert record.name.normalized == artifact.name
        assert str(record.version) == artifact.version
        installed = {f"opt/env/{name}" for name in map(str, record.files)}
        assert installed == {path for path in found if path != name}


def test_hard_links_in_the_archive(tmp_path: Path) -> None:
    path = make_conda(tmp_path, "hard", "1", files={"lib/a": b"same", "lib/b": b"same"})
    first, second = tarfile.TarInfo("lib/a"), tarfile.TarInfo("./lib/b")
    second.type, second.linkname = tarfile.LNKTYPE, "lib/a"
    found = entries(with_payload(path, [first, second], {"lib/a": b"same"}))
    assert found["opt/env/lib/b"] == Found("hardlink", 0o644, target="opt/env/lib/a")


def test_a_package_of_before_paths_json(tmp_path: Path) -> None:
    text = f"#!{OLD_PLACEHOLDER}/bin/python\n"
    files: dict[str, Content] = {
        "bin/a": Program(text),
        "bin/b": Link("a"),
        "c": b"/old/place\0",
    }
    path = make_conda(
        tmp_path, "ancient", "1", files=files,
        info={"has_prefix": "bin/a\n/old/place binary \"c\"\n"},
    )  # fmt: skip
    found = entries(_without_paths(path))
    assert found["opt/env/bin/a"].data == b"#!/opt/env/bin/python\n"
    assert found["opt/env/bin/b"].target == "a"
    assert found["opt/env/c"].data == b"/opt/env\0\0\0"


def _without_paths(path: Path) -> Path:
    import io
    import zipfile

    from backports import zstd

    stem = path.name.removesuffix(".conda")
    with zipfile.ZipFile(path) as archive:
        data = zstd.decompress(archive.read(f"info-{stem}.tar.zst"))
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            if member.name != "info/paths.json":
                new.addfile(member, old.extractfile(member))
    return repacked(path, {f"info-{stem}.tar.zst": zstd.compress(out.getvalue())})


# --- what is refused ---


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


HOSTILE: list[tuple[list[tarfile.TarInfo], str]] = [
    ([_member("../evil")], r"'\.\./evil' leaves"),
    ([_member("/etc/passwd")], "'/etc/passwd' leaves"),
    ([_member("lib/../../x")], "leaves the image's root"),
    ([_member("lib/f", tarfile.CHRTYPE)], "a character device"),
    ([_member("lib/f", tarfile.FIFOTYPE)], "a fifo"),
    ([_member("lib/f"), _member("./lib/f")], "two members 'lib/f'"),
    ([_member("lib/f", tarfile.SYMTYPE, "x")], "as a file, and it is a symlink"),
    ([_member("lib/f", tarfile.LNKTYPE, "../../etc/passwd")], "which is no file of the package"),
    ([_member("lib/f", tarfile.LNKTYPE, "lib/f")], "which is no file of the package"),
    ([_member("other")], "lists 'lib/f', and the package lacks it"),
    ([_member("lib/f")], "'lib/f' is not the file that info/paths.json describes"),
]


@pytest.mark.parametrize(("members", "message"), HOSTILE, ids=[str(n) for n in range(len(HOSTILE))])
def test_hostile_archives(tmp_path: Path, members: list[tarfile.TarInfo], message: str) -> None:
    path = make_conda(tmp_path, "evil", "1", files={"lib/f": b"expected"})
    with pytest.raises(ArtifactError, match=message) as caught:
        entries(with_payload(path, members, {"lib/f": b"others!!"}))
    assert caught.value.where == path.name


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc", "../..", ""])
def test_links_out(tmp_path: Path, target: str) -> None:
    path = make_conda(tmp_path, "evil", "1", files={"lib/f": Link(target)})
    with pytest.raises(ArtifactError, match="leads out of the environment"):
        entries(path)


PATHS: list[tuple[Any, str]] = [
    ([{"_path": "../x", "path_type": "hardlink"}], r"'\.\./x' leaves"),
    ([{"_path": "x"}], r"paths\[0\] has no _path and path_type"),
    ([{"_path": "x", "path_type": "socket"}], "the path_type 'socket'"),
    ([{"_path": "x", "path_type": "hardlink", "sha256": "beef"}], "the sha256 'beef'"),
    ([{"_path": "x", "path_type": "hardlink", "size_in_bytes": -1}], "the size -1"),
    ([{"_path": "x", "path_type": "hardlink", "prefix_placeholder": "/", "file_mode": "text"}],
     "the placeholder '/'"),
    ([{"_path": "x", "path_type": "hardlink", "prefix_placeholder": "/a/long/one"}],
     "the placeholder '/a/long/one', None"),
    ([{"_path": "x", "path_type": "hardlink"}] * 2, "two files for 'opt/env/x'"),
    ([{"_path": "x", "path_type": "hardlink"}, {"_path": "x/y", "path_type": "directory"}],
     "leads through 'opt/env/x', a file"),
    ("[]", "is not a mapping"),
    ("{", "is not JSON"),
    ('{"paths_version": 2, "paths": []}', "has version 2; envlock knows 1"),
]  # fmt: skip


@pytest.mark.parametrize(("paths", "message"), PATHS)
def test_paths_that_cannot_be(tmp_path: Path, paths: Any, message: str) -> None:
    path = with_paths(make_conda(tmp_path, "evil", "1", files={"x": b"x"}), paths)
    with pytest.raises(ArtifactError, match=message):
        entries(path)


def test_another_package_than_the_locks(tmp_path: Path) -> None:
    path = make_conda(tmp_path, "one", "1", files={})
    artifact = conda_artifact(path)
    with pytest.raises(ArtifactError, match="it holds one 1 h0_0, not one 2 h0_0"):
        entries(path, artifact=replace(artifact, version="2"))


def test_a_renamed_package(tmp_path: Path) -> None:
    path = make_conda(tmp_path, "one", "1", files={})
    artifact = replace(conda_artifact(path), file="two-1-h0_0.conda")
    with pytest.raises(ArtifactError, match="no member 'info-two-1-h0_0") as caught:
        entries(path, artifact=artifact)
    assert "renamed" in str(caught.value)


@pytest.mark.parametrize("part", ["pkg", "info"])
def test_damaged_zstd(tmp_path: Path, part: str) -> None:
    path = make_conda(tmp_path, "one", "1", files={"x": bytes(100_000)})
    damaged = repacked(path, {f"{part}-one-1-h0_0.tar.zst": b"\x28\xb5\x2f\xfd garbage"})
    with pytest.raises(ArtifactError, match="damaged compressed data"):
        entries(damaged, artifact=conda_artifact(make_conda(tmp_path / "x", "one", "1", files={})))


def test_a_prefix_that_is_too_long(tmp_path: Path) -> None:
    path = make_conda(tmp_path, "one", "1", files={"x": Prefixed(BINARY, binary=True)})
    scheme = Scheme(prefix="p" * 300, python="3.12")
    with pytest.raises(ArtifactError, match=r"'x': the prefix /ppp.* has 301 characters"):
        entries(path, scheme)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"provides": ()}, "its distributions are not"),
        ({"provides": (("two", "2"),)}, "told:  two 2"),
        ({"link_scripts": ()}, "found: bin/.two-post-link.sh"),
    ],
)
def test_what_the_lock_was_solved_with(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    files = {
        **distribution("two", "1"),
        "bin/.two-post-link.sh": Program("#!/bin/sh\n"),
    }
    path = make_conda(tmp_path, "two", "1", noarch="python", files=files)
    assert entries(path)
    with pytest.raises(ArtifactError) as caught:
        entries(path, artifact=conda_artifact(path, **told))
    assert said in str(caught.value)
    assert caught.value.where == path.name


def test_a_distribution_that_comes_from_elsewhere(tmp_path: Path) -> None:
    site = "lib/python3.12/site-packages"
    files = {
        **distribution("Two-Parts", "1", files={"two/a.py": b"a"}, site=site),
        f"{site}/two/__pycache__/a.cpython-312.pyc": b"a",
        f"{site}/other.py": b"",
        "lib/libtwo.so": b"",
    }
    path = make_conda(tmp_path, "two", "1", files=files)
    kept = {place for place in entries(path, without="two-parts") if "conda-meta" not in place}
    assert kept == {f"opt/env/{site}/other.py", "opt/env/lib/libtwo.so"}
    with pytest.raises(ArtifactError, match="no RECORD of three"):
        entries(path, without="three")


# --- the prefix ---

TEXT = st.binary(max_size=40)
PREFIX = st.text("abcdefgh/ -_", min_size=1, max_size=160).map(lambda text: f"/{text}")


@given(st.lists(TEXT, max_size=6), st.text("abc/", min_size=1, max_size=30))
def test_binary_keeps_lengths(parts: list[bytes], prefix: str) -> None:
    old = "/placeholder/that/is/long/enough"
    data = old.encode().join(parts)
    made = replaced(data, old, f"/{prefix}", binary=True)
    assert len(made) == len(data)
    # what stands before the first and is no string of it stays
    first = data.find(old.encode())
    assert made[:first] == data[:first] if first >= 0 else made == data


@given(TEXT, PREFIX, st.sampled_from(["/bin/python3", "/bin/perl -w", "/bin/sh -e -u"]))
def test_shebangs_can_be_read(rest: bytes, prefix: str, program: str) -> None:
    old = "/placeholder/that/is/long/enough"
    data = f"#!{old}{program}\n".encode() + rest
    line = replaced(data, old, prefix, binary=False).splitlines()[0]
    assert line.startswith(b"#!/")
    assert len(line) <= 127
    if len(prefix) < 100 and " " not in prefix:
        assert line == f"#!{prefix}{program}".encode()


@pytest.mark.parametrize("program", ["/a/python3", "/with space/python3", f"/{'p' * 200}/python3"])
def test_a_long_shebang_is_python_and_shell(program: str) -> None:
    text = shebang(program) + "print(1)\n"
    compile(text, "script", "exec")
    assert text.splitlines()[0] in {f"#!{program}", "#!/bin/sh"}


# --- scripts ---


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("export A=1\n# comment\n\nexport B=\"x y\"\nexport C='$x'\n",
         {"A": "1", "B": "x y", "C": "$x"}),
        ('export P="$CONDA_PREFIX/share"\nexport Q=${CONDA_PREFIX}\n',
         {"P": "/opt/env/share", "Q": "/opt/env"}),
        ("export A=$B\n", None),
        ("export A=`date`\n", None),
        ("export A=1; rm -rf /\n", None),
        ("if true; then export A=1; fi\n", None),
        ("A=1\n", None),
        ("export A=a b\n", None),
        ("export A='\n", None),
        ("", {}),
    ],
)  # fmt: skip
def test_activation_scripts(script: str, wanted: dict[str, str] | None) -> None:
    assert exported(script.encode(), "/opt/env") == wanted


def test_link_scripts() -> None:
    paths = ["bin/.a-post-link.sh", "bin/.a-pre-unlink.sh", "bin/.b-post-link.sh", "bin/a",
             "share/.a-post-link.sh", "bin/.a-post-link.bat"]  # fmt: skip
    assert link_scripts("a", paths) == ("bin/.a-post-link.sh", "bin/.a-pre-unlink.sh")
