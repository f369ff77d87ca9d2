"""From a .deb to entries: what is kept, what moves, what is refused."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import sys
import tarfile
import tracemalloc
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import ArtifactError
from envlock.layers import tarreader
from envlock.layers.deb import merged_path, read_control, read_entries
from envlock.layers.debar import read_ar
from envlock.layers.debtree import Collector
from envlock.layers.entry import Bytes
from envlock.layers.tarreader import Streamed, read_members
from envlock.layers.unpacked import Unpacked
from envlock.layers.writer import LayerWriter

from .making import COMPRESS, CONTROL, Item, ar, deb, tar, write_deb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from envlock.layers.entry import Entry
    from envlock.layers.gzipstream import GzipWriter

ORDINARY = [
    Item("./"),
    Item("./usr/"),
    Item("./usr/bin/"),
    Item("./usr/bin/demo", b"#!/bin/sh\n" * 100),
    Item("./usr/bin/su", b"x", mode=0o4755),
    Item("./usr/bin/again", type=tarfile.LNKTYPE, target="./usr/bin/demo"),
    Item("./usr/bin/link", type=tarfile.SYMTYPE, target="/etc/../demo"),
    Item("./var/mail/", mode=0o2775, gid=8),
    Item("./usr/share/" + "long/" * 40 + "name", b"", mode=0o644),
]


def entries(folder: Path, content: bytes) -> dict[str, Entry]:
    path = folder / "demo.deb"
    path.write_bytes(content)
    return {entry.path: entry for entry in read_entries(path)}


def packed(folder: Path, *items: Item) -> dict[str, Entry]:
    return entries(folder, deb(tar(items)))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_an_ordinary_package(tmp_path: Path, suffix: str, layout: int) -> None:
    items = ORDINARY if layout == tarfile.GNU_FORMAT else ORDINARY[:-1]
    found = entries(tmp_path, deb(tar(items, layout), suffix=suffix, control_suffix=suffix))
    assert list(found) == [item.name.strip("./") for item in items[1:]]
    demo = found["usr/bin/demo"]
    assert demo.content is not None
    assert demo.content.read() == b"#!/bin/sh\n" * 100
    assert (demo.kind, demo.mode, demo.uid, demo.gid) == ("file", 0o755, 0, 0)
    assert found["usr/bin/su"].mode == 0o4755
    assert (found["usr/bin/again"].kind, found["usr/bin/again"].target) == (
        "hardlink",
        "usr/bin/demo",
    )
    assert found["usr/bin/link"].target == "/etc/../demo"
    assert (found["var/mail"].mode, found["var/mail"].gid) == (0o2775, 8)


def test_a_ustar_prefix(tmp_path: Path) -> None:
    name = "./usr/share/" + "long/" * 20 + "name"
    found = entries(tmp_path, deb(tar([Item(name, b"x")], tarfile.USTAR_FORMAT)))
    assert list(found) == [name[2:]]


def test_control_files(tmp_path: Path) -> None:
    path = tmp_path / "demo.deb"
    path.write_bytes(deb(tar([]), control={"md5sums": b"0  usr/bin/x\n", "triggers": b""}))
    assert read_control(path) == {
        "control": CONTROL,
        "md5sums": b"0  usr/bin/x\n",
        "triggers": b"",
    }
    assert list(read_entries(path)) == []


def test_usr_is_merged(tmp_path: Path) -> None:
    found = packed(
        tmp_path,
        Item("./bin/"),
        Item("./bin/sh", b"x"),
        Item("./lib/"),
        Item("./lib/x86_64-linux-gnu/"),
        Item("./lib/x86_64-linux-gnu/libc.so.6", b"y"),
        Item("./lib64/"),
        Item("./lib64/ld.so", type=tarfile.SYMTYPE, target="/lib/x86_64-linux-gnu/ld.so"),
        Item("./sbin/dash", type=tarfile.LNKTYPE, target="./bin/sh"),
        Item("./usr/lib/"),
        Item("./usr/lib/x86_64-linux-gnu/"),
        Item("./var/run/"),
        Item("./var/run/demo/"),
        Item("./var/lock/", mode=0o1777),
        Item("./library/"),
    )
    assert list(found) == [
        "usr/bin/sh",
        "usr/lib/x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        "usr/lib64/ld.so",
        "usr/sbin/dash",
        "usr/lib",
        "run/demo",
        "library",
    ]
    assert found["usr/sbin/dash"].target == "usr/bin/sh"
    assert found["usr/lib64/ld.so"].target == "/lib/x86_64-linux-gnu/ld.so"


def test_the_links_of_a_newer_base_files_are_dropped(tmp_path: Path) -> None:
    assert not packed(tmp_path, Item("./bin", type=tarfile.SYMTYPE, target="usr/bin"))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([Item("../x", b"")], "leaves the image's root"),
        ([Item("./usr/../../x", b"")], "leaves the image's root"),
        ([Item("./usr//x", b"")], "leaves the image's root"),
        ([Item("./bin/../x", b"")], "leaves the image's root"),
        ([Item("/etc/x", b"")], "is absolute"),
        ([Item("./x", type=tarfile.LNKTYPE, target="../y")], "leaves the image's root"),
        ([Item("./x", type=tarfile.LNKTYPE, target="./y")], "no file before it"),
        ([Item("./y/"), Item("./x", type=tarfile.LNKTYPE, target="./y")], "no file before it"),
        ([Item("./x", type=tarfile.LNKTYPE, target="/etc/y")], "is absolute"),
        ([Item("./x", type=tarfile.SYMTYPE)], "has no target"),
        ([Item("./d", type=tarfile.SYMTYPE, target="/etc"), Item("./d/x", b"")], "leads through"),
        ([Item("./d/x", b""), Item("./d", type=tarfile.SYMTYPE, target="/")], "paths below it"),
        ([Item("./d/e/x", b""), Item("./d", b"")], "paths below it"),
        ([Item("./d", b""), Item("./d/x", b"")], "leads through './d', a file"),
        ([Item("./x", type=tarfile.CHRTYPE)], "a character device"),
        ([Item("./x", type=tarfile.BLKTYPE)], "a block device"),
        ([Item("./x", type=tarfile.FIFOTYPE)], "a fifo"),
        ([Item("./x", b"", type=tarfile.GNUTYPE_SPARSE)], "a sparse file"),
        ([Item("./x", b"", type=b"Z")], "unknown tar type"),
        ([Item("./x", b"a"), Item("./x", b"a")], "are both 'x'"),
        ([Item("./lib/x", b"a"), Item("./usr/lib/x", b"b")], "'./lib/x' and './usr/lib/x' are"),
        ([Item("./lib/x/"), Item("./usr/lib/x", b"b")], "are both 'usr/lib/x'"),
        ([Item("./lib", b"a")], "must be a directory or a link to 'usr/lib'"),
        ([Item("./lib", type=tarfile.SYMTYPE, target="opt")], "must be a directory"),
        ([Item("./x", b"", uid=1000)], "dynamic user or group"),
        ([Item("./d/", b"", type=tarfile.DIRTYPE), Item("./\udcff", b"")], "is not UTF-8"),
    ],
)
def test_hostile_content_is_refused(tmp_path: Path, items: list[Item], message: str) -> None:
    with pytest.raises(ArtifactError, match=re.escape(message)) as caught:
        packed(tmp_path, *items)
    assert caught.value.where == "demo.deb"


def test_pax_headers_are_refused(tmp_path: Path) -> None:
    item = Item("./x", b"", pax={"comment": "x"})
    with pytest.raises(ArtifactError, match="a PAX header"):
        entries(tmp_path, deb(tar([item], tarfile.PAX_FORMAT)))


GOOD = deb(tar(ORDINARY))


def _member(name: str, size: str, body: bytes = b"") -> bytes:
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{size:<10}`\n".encode() + body


BINARY = _member("debian-binary", "4", b"2.0\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an ar archive"),
        (b"!<arch>\r" + GOOD[8:], "not an ar archive"),
        (b"!<arch>\n", "first member is not debian-binary"),
        (GOOD[:-40], "ends within its member 'data.tar.xz'"),
        (GOOD[:40], "bad header"),
        (b"!<arch>\n" + BINARY, "without control.tar or data.tar"),
        (b"!<arch>\n" + _member("debian-binary", "-4", b"2.0\n"), "bad header"),
        (b"!<arch>\n" + _member("debian-binary", "0x4", b"2.0\n"), "bad header"),
        (b"!<arch>\n" + _member("debian-binary", "", b"2.0\n"), "bad header"),
        (b"!<arch>\n" + _member("debian-binary", "9999999999", b"2.0\n"), "ends within"),
        (b"!<arch>\n" + _member("debian-binary", "3", b"2.0x"), "bad padding"),
        (ar([("debian-binary", b"3.0\n")]), "unknown format version"),
        (ar([("debian-binary", b"2.0\n"), ("x", b""), ("data.tar", b"")]), "control.tar should be"),
        (
            ar([("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar.lzma", b"")]),
            "data.tar should be",
        ),
        (
            ar(
                [("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar.xz", b"garbage" * 9)]
            ),
            "damaged compressed data",
        ),
        (
            ar([("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar.xz", b"")]),
            "ends too early",
        ),
        (
            ar([("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar", b"x" * 512)]),
            "checksum",
        ),
        (
            ar([("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar", b"")]),
            "the tar ends within a tar header",
        ),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ArtifactError, match=re.escape(message)):
        entries(tmp_path, content)


def test_a_cut_xz_stream_is_refused(tmp_path: Path) -> None:
    data = lzma.compress(tar(ORDINARY))
    members = [("debian-binary", b"2.0\n"), ("control.tar", tar([])), ("data.tar.xz", data[:-30])]
    with pytest.raises(ArtifactError, match="ends too early"):
        entries(tmp_path, ar(members))


def test_members_to_ignore_and_several_streams(tmp_path: Path) -> None:
    data = tar(ORDINARY)
    streams = lzma.compress(data[:1000]) + bytes(8) + lzma.compress(data[1000:])
    members = [
        ("debian-binary", b"2.0\n"),
        ("_later", b"odd"),
        ("control.tar/", tar([])),
        ("data.tar.xz", streams),
        ("_gpgorigin", b"signature"),
    ]
    assert entries(tmp_path, ar(members)) == entries(tmp_path, GOOD)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_unpacks_to_too_much_is_refused(suffix: str) -> None:
    packed_zeros = COMPRESS[suffix](bytes(3 << 20))
    file = io.BytesIO(ar([("x", packed_zeros)]))
    (member,) = read_ar(file)
    with pytest.raises(ArtifactError, match="more than the 1048576 bytes"):
        Unpacked(file, member, suffix, 1 << 20).read(3 << 20)
    assert Unpacked(file, member, suffix, 3 << 20).read(4 << 20) == bytes(3 << 20)


def test_an_xz_stream_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    # The dictionary's size is in the block header; its CRC is made right again.
    import struct
    import zlib

    stream = bytearray(lzma.compress(tar([]), preset=0))
    at = 12
    length = (stream[at] + 1) * 4
    place = stream.index(b"\x21\x01", at) + 2
    stream[place] = 40  # 4 GiB - 1
    stream[at + length - 4 : at + length] = struct.pack(
        "<I", zlib.crc32(stream[at : at + length - 4])
    )
    members = [("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar.xz", bytes(stream))]
    with pytest.raises(ArtifactError, match="Memory usage limit"):
        entries(tmp_path, ar(members))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads zstd")
@pytest.mark.parametrize("reader", [read_control, lambda path: list(read_entries(path))])
def test_zstd_without_a_reader_says_what_to_do(
    tmp_path: Path, reader: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    names = ("debian-binary", "control.tar.zst", "data.tar.zst")
    path = tmp_path / "demo.deb"
    path.write_bytes(ar([(name, b"2.0\n") for name in names]))
    with pytest.raises(ArtifactError, match=r"zstd, which this Python does not know") as caught:
        reader(path)
    assert caught.value.where == "demo.deb"
    assert caught.value.hint is not None
    assert "Python 3.14" in caught.value.hint


class _Zstd:
    """Stands for Python 3.14's module, with another algorithm behind it."""

    ZstdError = OSError
    ZstdDecompressor = bz2.BZ2Decompressor


def test_zstd_with_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("compression")
    package.zstd = _Zstd  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compression", package)
    monkeypatch.setitem(sys.modules, "compression.zstd", cast("ModuleType", _Zstd))
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.zst", bz2.compress(tar([Item("./control", CONTROL, 0o644)]))),
        ("data.tar.zst", bz2.compress(tar(ORDINARY))),
    ]
    assert entries(tmp_path, ar(members)) == entries(tmp_path, GOOD)
    members[2:] = [("data.tar.zst", bz2.compress(tar(ORDINARY))), ("_gpgorigin", b"")]
    (tmp_path / "demo.deb").write_bytes(ar(members))
    assert read_control(tmp_path / "demo.deb") == {"control": CONTROL}
    members[2:] = [("data.tar.zst", b"garbage" * 9)]
    with pytest.raises(ArtifactError, match="damaged compressed data"):
        entries(tmp_path, ar(members))


LARGE = bytes(range(256)) * 256 + b"end"


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarreader, "AT_HAND", len(LARGE) - 1)
    monkeypatch.setattr(tarreader, "PIECE", 5000)


@pytest.mark.usefixtures("small_limits")
def test_a_large_file_passes_in_pieces(tmp_path: Path) -> None:
    items = [Item("./large", LARGE), Item("./skipped", LARGE), Item("./read", LARGE)]
    path = write_deb(tmp_path, [Item("./a", b"1"), *items, Item("./z", b"2")])
    out, plain = io.BytesIO(), io.BytesIO()
    written, whole = (LayerWriter(stream, parents=False) for stream in (out, plain))
    found: dict[str, Entry] = {}
    for entry in read_entries(path):
        found[entry.path] = entry
        if entry.path == "skipped":
            continue
        if entry.path == "read":
            assert entry.content is not None
            assert entry.content.read() == entry.content.read() == LARGE
        written.add(entry)
        size = entry.content.size if entry.content is not None else 0
        assert isinstance(entry.content, Streamed) == (size == len(LARGE))
        data = LARGE if isinstance(entry.content, Streamed) else b"1" if entry.path == "a" else b"2"
        whole.add(replace(entry, content=Bytes(data)))
    assert written.finish() == whole.finish()
    assert out.getvalue() == plain.getvalue()
    for name in ("large", "skipped"):
        content = found[name].content
        assert content is not None
        with pytest.raises(RuntimeError, match="has passed already"):
            content.read()


@pytest.mark.usefixtures("small_limits")
def test_a_large_file_that_is_cut_off(tmp_path: Path) -> None:
    content = deb(tar([Item("./large", LARGE)])[: len(LARGE) // 2], suffix="")
    (tmp_path / "demo.deb").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"demo\.deb: .* ends within the file '\./large'"):
        LayerWriter(io.BytesIO()).add_all(read_entries(tmp_path / "demo.deb"))


class _Sink:
    """Counts what is written."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)


def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    path = write_deb(tmp_path, [Item("./large", bytes(4 * tarreader.AT_HAND))])
    sink = _Sink()
    tracemalloc.start()
    try:
        for entry in Collector().watch(read_entries(path)):
            assert isinstance(entry.content, Streamed)
            entry.content.write_to(cast("GzipWriter", sink))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.size == 4 * tarreader.AT_HAND
    assert peak < tarreader.AT_HAND


def test_data_after_the_end_of_a_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="after the end"):
        entries(tmp_path, deb(tar([]) + b"x"))


@given(st.binary(max_size=300))
def test_any_bytes_are_an_ar_archive_or_an_error(data: bytes) -> None:
    for content in (data, b"!<arch>\n" + data):
        try:
            members = read_ar(io.BytesIO(content))
        except ArtifactError:
            continue
        assert all(member.offset + member.size <= len(content) for member in members)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_flipped_byte_is_harmless_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    content = bytearray(GOOD)
    content[at] = value
    path = tmp_path_factory.getbasetemp() / "flipped.deb"
    path.write_bytes(content)
    try:
        read_control(path)
        for entry in read_entries(path):
            assert not entry.path.startswith(("/", "bin/", "lib/"))
    except ArtifactError:
        pass


SMALL = tar(ORDINARY[:7])


@given(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=12), st.booleans())
def test_any_tar_is_read_or_an_error(at: int, junk: bytes, mend: bool) -> None:
    content = bytearray(SMALL)
    content[at : at + len(junk)] = junk
    if mend:  # so that what lies behind the checksum is reached
        start = at // 512 * 512
        content[start + 148 : start + 156] = b" " * 8
        total = sum(content[start : start + 512])
        content[start + 148 : start + 156] = b"%06o\0 " % total
    try:
        for member in read_members(io.BytesIO(bytes(content[: len(SMALL)]))):
            assert member.content.size <= len(SMALL)
    except ArtifactError:
        pass


@given(st.from_regex(r"[a-z/]{1,12}", fullmatch=True))
def test_a_merged_path_stays_where_it_is(path: str) -> None:
    assert merged_path(merged_path(path)) == merged_path(path)
