"""The tar writer, read back by tarfile and by GNU tar."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import ArtifactError
from envlock.layers import tar
from envlock.layers.entry import Bytes, Entry, directory, regular, symlink
from envlock.layers.writer import LayerWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONG = "a" * 60


@dataclass(frozen=True)
class Huge:
    """Content that claims a size and is never read."""

    size: int

    def read(self) -> bytes:
        raise AssertionError("nobody should read this")


def written(entries: Sequence[Entry]) -> bytes:
    out = b""
    for entry in entries:
        out += tar.header(entry)
        if entry.content is not None and isinstance(entry.content, Bytes):
            out += entry.content.data + tar.padding(entry.content.size)
    return out + tar.END_OF_ARCHIVE


def names_of_length(length: int) -> list[str]:
    """Return paths of about that many bytes: without folders where that can be, and with many."""
    flat = "f" * length if length <= 253 else ""  # NAME_MAX is 255, and endings follow
    deep = ("d" * 30 + "/") * (length // 31) + "f" * (length % 31 or 1)
    return [path for path in (flat, deep[:length].rstrip("/") + "x" * 9) if path]


PATHS = [
    path
    for length in (1, 99, 100, 101, 154, 155, 156, 253, 254, 255, 256, 257, 300, 1000)
    for path in names_of_length(length)
] + [
    "p" * 155 + "/" + "n" * 100,
    "p" * 155 + "/" + "n" * 101,
    "p" * 156 + "/" + "n" * 99,
    f"{LONG}/{LONG}/{LONG}/{LONG}/end",
    "usr/share/ca-certificates/NetLock_Arany_=Class_Gold=_Főtanúsítvány.crt",
    "ü" * 50,
    "ü" * 51,
    "日本/" * 40 + "終",
    "with space and 'quotes' and \\ and \n newline",
    "-looks/--like/-an-option",
]
ENTRIES = [
    entry
    for number, path in enumerate(PATHS)
    for entry in (
        regular(f"{number}/{path}", b"x" * (number * 37), 0o644 if number % 2 else 0o755),
        directory(f"{number}/{path}.d", 0o1777, uid=number, gid=65532),
        symlink(f"{number}/{path}.l", "../" + path),
        Entry(path=f"{number}/{path}.h", kind="hardlink", mode=0o644, target=f"{number}/{path}"),
    )
]
TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
}


def check_member(info: tarfile.TarInfo, entry: Entry) -> None:
    assert info.name == entry.path
    assert info.type == TYPES[entry.kind]
    assert info.linkname == entry.target
    assert (info.mode, info.uid, info.gid) == (entry.mode, entry.uid, entry.gid)
    assert (info.uname, info.gname) == ("", "")
    assert info.mtime == 315532800
    assert info.size == (entry.content.size if entry.content else 0)
    assert set(info.pax_headers) <= {"path", "linkpath", "size"}


def test_tarfile_reads_every_field_back() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(ENTRIES))) as archive:
        members = archive.getmembers()
        assert len(members) == len(ENTRIES)
        for info, entry in zip(members, ENTRIES, strict=True):
            check_member(info, entry)
            if isinstance(entry.content, Bytes):
                content = archive.extractfile(info)
                assert content is not None
                assert content.read() == entry.content.data


def test_gnu_tar_reads_every_field_back(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(written(ENTRIES))
    listed = subprocess.run(
        ["tar", "--quoting-style=literal", "--full-time", "--utc", "--numeric-owner", "-tvf", path],
        env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        capture_output=True,
        check=True,
    )
    assert listed.stderr == b""
    text = listed.stdout.decode()
    letters = {"file": "-", "dir": "d", "symlink": "l", "hardlink": "h"}
    for entry in ENTRIES:
        bits = "".join(
            letter if entry.mode & 0o400 >> place else "-"
            for place, letter in enumerate("rwxrwxrwx")
        )
        bits = bits[:-1] + "t" if entry.mode & 0o1000 else bits
        name = entry.path + ("/" if entry.kind == "dir" else "")
        arrow = {"symlink": " -> ", "hardlink": " link to "}.get(entry.kind, "")
        size = entry.content.size if entry.content else 0
        line = f" 1980-01-01 00:00:00 {name}{arrow}{entry.target}\n"
        assert line in text
        start = text[: text.index(line)].rpartition("\n")[2].split()
        assert start == [letters[entry.kind] + bits, f"{entry.uid}/{entry.gid}", str(size)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_gnu_tar_extracts(tmp_path: Path) -> None:
    entries = [entry for entry in ENTRIES if len(entry.path) < 700]
    entries = [entry for entry in entries if max(map(len, entry.path.encode().split(b"/"))) < 250]
    path, root = tmp_path / "x.tar", tmp_path / "root"
    root.mkdir()
    path.write_bytes(written(entries))
    subprocess.run(["tar", "--numeric-owner", "-C", root, "-xpf", path], check=True)
    for entry in entries:
        place = root / entry.path
        status = place.lstat()
        assert (status.st_uid, status.st_gid) == (entry.uid, entry.gid)
        assert place.is_symlink() == (entry.kind == "symlink")
        if entry.kind in {"file", "dir"}:
            assert status.st_mode & 0o7777 == entry.mode
        if isinstance(entry.content, Bytes):
            assert place.read_bytes() == entry.content.data
        if entry.kind == "hardlink":
            assert place.samefile(root / entry.target)


@pytest.mark.parametrize("size", [0, 0o77777777777, 0o77777777777 + 1, 10 * 2**30, 2**43])
def test_sizes_beyond_eight_gibibytes(size: int, tmp_path: Path) -> None:
    entry = Entry(path="big", kind="file", mode=0o600, content=Huge(size))
    header = tar.header(entry)
    assert len(header) == (512 if size <= 0o77777777777 else 3 * 512)
    info = tarfile.TarInfo.frombuf(header[-512:], "utf-8", "strict")
    assert info.size == min(size, 0o77777777777)
    with tarfile.open(fileobj=io.BytesIO(header)) as archive:
        found = archive.next()
        assert found is not None
        assert (found.name, found.size, found.mode) == ("big", size, 0o600)
    path = tmp_path / "x.tar"
    with path.open("wb") as out:  # a sparse file, so that tar can skip the content
        out.write(header)
        out.truncate(min(len(header) + size + len(tar.padding(size)) + 1024, 2**42))
    if size < 2**40:
        done = subprocess.run(["tar", "-tvf", path], capture_output=True, check=True, text=True)
        assert f" {size} " in done.stdout


def test_ustar_alone_where_it_suffices() -> None:
    """pax headers are not universally liked: they appear only where a field is too small."""
    for path, blocks in {
        "n" * 100: 1,
        "n" * 101: 3,
        "p" * 155 + "/" + "n" * 100: 1,
        "p" * 155 + "/" + "n" * 101: 3,
        "ü": 3,
    }.items():
        assert len(tar.header(regular(path, b""))) == 512 * blocks
    assert len(tar.header(directory("n" * 99))) == 512
    assert len(tar.header(directory("n" * 100))) == 512 * 3
    assert len(tar.header(symlink("l", "t" * 100))) == 512
    assert len(tar.header(symlink("l", "t" * 101))) == 512 * 3


def test_a_prefix_field_is_what_it_should_be() -> None:
    header = tar.header(regular("p" * 155 + "/" + "n" * 100, b""))
    assert header[345:500] == b"p" * 155
    assert header[:100] == b"n" * 100


@pytest.mark.parametrize("uid", [-1, 0o10000000])
def test_numbers_that_do_not_fit_are_refused(uid: int) -> None:
    with pytest.raises(ArtifactError):
        tar.header(directory("x", uid=uid))


names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=130
).filter(lambda name: name not in {".", ".."})


@given(
    st.lists(names, min_size=1, max_size=6).map("/".join),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
)
def test_any_name_comes_back(path: str, target: str) -> None:
    data = tar.header(symlink(path, target)) + tar.header(regular(path + ".f", b"")) + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as archive:
        link, file = archive.getmembers()
    assert (link.name, link.linkname, file.name) == (path, target, path + ".f")


@pytest.mark.parametrize("path", ["", "/x", "a//b", "a/", "./a", "a/../b", "..", "a\0b"])
def test_paths_that_leave_the_root_are_refused(path: str) -> None:
    with pytest.raises(ArtifactError):
        regular(path, b"")


def test_a_layer_has_parents_first_and_no_path_twice() -> None:
    out = io.BytesIO()
    writer = LayerWriter(out)
    writer.add_all([regular("a/b/c", b"1"), directory("a/b"), regular("a/d", b""), directory("a")])
    for entry, word in (
        (regular("a/d", b""), "two entries"),
        (regular("a/b", b""), "two entries"),
        (regular("a/d/e", b""), "no directory"),
    ):
        with pytest.raises(ArtifactError, match=word):
            writer.add(entry)
    writer.finish()
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        assert archive.getnames() == ["a", "a/b", "a/b/c", "a/d"]


def test_golden_bytes() -> None:
    """A change of this digest changes every image: raise the packer's version with it."""
    digest = hashlib.sha256(written(ENTRIES)).hexdigest()
    assert digest == "f4295203edd87e06247d835af899e2ec5d79d1e425f2bd00a67a320a4276329c"
