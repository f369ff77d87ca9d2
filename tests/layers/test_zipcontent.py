"""Hostile and odd zip archives: refused with ArtifactError, or read rightly; nothing else."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envlock.errors import ArtifactError
from envlock.layers.gzipstream import SPLICE_LIMIT, GzipWriter
from envlock.layers.wheel import Scheme, wheel_entries
from envlock.layers.zipcontent import Joined, read_zip

from .making import (
    DESCRIPTOR,
    ENCRYPTED,
    STORED,
    UTF8,
    Claims,
    Member,
    deflated,
    make_zip,
    wheel_members,
    zlib_stream,
)

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.layers.entry import Entry

TEXT = b"some text that shrinks, some text that shrinks\n" * 40
NOISE = random.Random(1).randbytes(3000)


def contents(path: Path) -> dict[str, bytes]:
    """Read every file in both ways, which must agree."""
    found = {}
    with path.open("rb") as archive:
        for info in read_zip(path, archive):
            out = io.BytesIO()
            writer = GzipWriter(out)
            info.member.write_to(writer)
            digests = writer.finish()
            plain = info.member.read()
            assert gzip.decompress(out.getvalue()) == plain
            assert digests.plain_size == len(plain) == info.member.size
            found[info.name] = plain
    return found


def written(folder: Path, data: bytes) -> Path:
    path = folder / "demo-1.0-py3-none-any.whl"
    path.write_bytes(data)
    return path


def one(name: str | bytes = "a", **fields: object) -> Member:
    return Member(name, TEXT, **fields)  # type: ignore[arg-type]


# --- what is right ---

GOOD: dict[str, list[Member]] = {
    "plain": [one("a"), one("b/c")],
    "stored": [one("a", method=STORED), Member("empty", b"", method=STORED)],
    "empty file, deflated": [Member("empty", b"")],
    "data descriptors": [one("a", descriptor=True), one("b", descriptor=True, method=STORED)],
    "folders": [Member("d/", b"", method=STORED), one("d/a")],
    "zlib streams": [Member(f"f{n}", TEXT * n, zlib_stream(TEXT * n, n)) for n in range(1, 10)],
    "large": [Member("large", TEXT * 900, zlib_stream(TEXT * 900)), one("b")],
    "large and stored": [Member("large", NOISE * 900, method=STORED), one("b")],
    "non-ASCII": [one("ünï/日本")],
    "cp437": [one(b"\x81", flags=0)],
    "extra fields of its own": [
        one(local=Claims(extra=struct.pack("<HH", 0x5455, 4) + b"1234")),
        one("b", central=Claims(extra=struct.pack("<HH", 0x7875, 2) + b"12")),
    ],
}


@pytest.mark.parametrize("kind", GOOD)
def test_good_archives(kind: str, tmp_path: Path) -> None:
    members = GOOD[kind]
    path = written(tmp_path, make_zip(members))
    expected = {}
    for member in members:
        name = member.name if isinstance(member.name, str) else member.name.decode("cp437")
        if not name.endswith("/"):
            expected[name] = member.data
    assert contents(path) == expected
    with zipfile.ZipFile(path) as archive:
        assert {i.filename: archive.read(i) for i in archive.infolist() if not i.is_dir()} == (
            expected
        )


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_what_zipfile_writes(level: int, tmp_path: Path) -> None:
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.writestr("a", TEXT)
        archive.writestr("b", NOISE * 500)
        with archive.open("zip64", "w", force_zip64=True) as out:
            out.write(TEXT)
    assert contents(path) == {"a": TEXT, "b": NOISE * 500, "zip64": TEXT}


def test_what_zipfile_streams(tmp_path: Path) -> None:
    """To a pipe, sizes come in data descriptors."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += bytes(data)  # type: ignore[call-overload]
            return len(data)  # type: ignore[arg-type]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", TEXT)
        archive.writestr("b", NOISE)
    assert contents(written(tmp_path, pipe.data)) == {"a": TEXT, "b": NOISE}


def test_zip64_sizes_in_the_directory(tmp_path: Path) -> None:
    packed = deflated(TEXT)
    extra = struct.pack("<HH2Q", 1, 16, len(TEXT), len(packed))
    huge = Claims(packed=0xFFFFFFFF, size=0xFFFFFFFF, extra=extra)
    path = written(tmp_path, make_zip([one("a", local=huge, central=huge), one("b")]))
    assert contents(path) == {"a": TEXT, "b": TEXT}


def test_a_member_with_a_tail(tmp_path: Path) -> None:
    path = written(tmp_path, make_zip([one()]))
    with path.open("rb") as archive:
        joined = Joined(read_zip(path, archive)[0].member, b"tail")
        out = io.BytesIO()
        writer = GzipWriter(out)
        joined.write_to(writer)
        writer.finish()
        assert gzip.decompress(out.getvalue()) == joined.read() == TEXT + b"tail"
        assert joined.size == len(TEXT) + 4


# --- what is refused ---

PACKED = deflated(TEXT)


def overlapping() -> bytes:
    """Return two directory entries that share one stream (a better zip bomb, quoted)."""
    return make_zip([one("a"), Member("b", TEXT, b"", central=Claims(offset=0))])


def quoted() -> bytes:
    """Return an entry whose stored content is the next entry with its header."""
    inner = make_zip([one("b")])[: 30 + 1 + len(PACKED)]
    return make_zip(
        [
            Member("a", inner, method=STORED),
            Member("b", TEXT, b"", central=Claims(offset=31, packed=len(PACKED))),
        ]
    )


def unicode_path(name: str) -> bytes:
    body = struct.pack("<BL", 1, zlib.crc32(b"a")) + name.encode()
    return struct.pack("<HH", 0x7075, len(body)) + body


BAD: dict[str, bytes] = {
    "nothing": b"",
    "no zip": b"PK" + bytes(100),
    "end record only, cut": make_zip([one()])[-10:],
    "local name": make_zip([one(local=Claims(name=b"b"))]),
    "local name, other length": make_zip([one(local=Claims(name=b"bcd"))]),
    "local name, not even text": make_zip([one("日本", local=Claims(name=b"x", flags=0))]),
    "local name, other encoding": make_zip([one("日本", local=Claims(flags=0))]),
    "local size": make_zip([one(local=Claims(size=1))]),
    "local packed size": make_zip([one(local=Claims(packed=1))]),
    "local crc": make_zip([one(local=Claims(crc=1))]),
    "local method": make_zip([one(local=Claims(method=STORED))]),
    "central method": make_zip([one(central=Claims(method=STORED))]),
    "wrong crc in both": make_zip([one(local=Claims(crc=1), central=Claims(crc=1))]),
    "wrong crc, stored": make_zip([one(method=STORED, local=Claims(crc=1), central=Claims(crc=1))]),
    "wrong crc, large": make_zip(
        [
            Member(
                "a",
                bytes(3 << 20),
                zlib_stream(bytes(3 << 20)),
                central=Claims(crc=1),
                local=Claims(crc=1),
            )
        ]
    ),
    "size too small": make_zip([one(local=Claims(size=5), central=Claims(size=5))]),
    "size too large": make_zip([one(local=Claims(size=9**6), central=Claims(size=9**6))]),
    "size far too large": make_zip([one(local=Claims(size=2**31), central=Claims(size=2**31))]),
    "stored with two sizes": make_zip(
        [one(method=STORED, local=Claims(size=5), central=Claims(size=5))]
    ),
    "size wrong behind a descriptor": make_zip([one(descriptor=True, central=Claims(size=5))]),
    "stream cut": make_zip([Member("a", TEXT, PACKED[:-4])]),
    "stream damaged": make_zip([Member("a", TEXT, b"\xff" + PACKED[1:])]),
    "stream with more behind it": make_zip([Member("a", TEXT, PACKED + b"hidden")]),
    "overlapping": overlapping(),
    "quoted": quoted(),
    "beyond the end": make_zip([one(central=Claims(packed=10**6), local=Claims(packed=10**6))]),
    "offset beyond the end": make_zip([one(central=Claims(offset=10**6))]),
    "offset elsewhere": make_zip([one(central=Claims(offset=3))]),
    "twice": make_zip([one(), one()]),
    "encrypted": make_zip([one(flags=UTF8 | ENCRYPTED)]),
    "encrypted, says the local header": make_zip([one(local=Claims(flags=UTF8 | ENCRYPTED))]),
    "bzip2": make_zip([one(method=12)]),
    "lzma": make_zip([one(method=14)]),
    "zstandard": make_zip([one(method=93)]),
    "deflate64": make_zip([one(method=9)]),
    "a NUL in the name": make_zip([one("a\0b")]),
    "a backslash in the name": make_zip([one("a\\b")]),
    "not UTF-8": make_zip([one(b"\xff\xfe")]),
    "an empty name": make_zip([one("")]),
    "content in a folder": make_zip([one("d/")]),
    "another name in an extra field": make_zip([one(central=Claims(extra=unicode_path("b")))]),
    "directory offset": make_zip([one()])[:-6] + struct.pack("<LH", 10**6, 0),
    "directory offset, small": make_zip([one()])[:-6] + struct.pack("<LH", 1, 0),
    "zip64 sizes of nothing": make_zip(
        [one(central=Claims(size=0xFFFFFFFF, extra=struct.pack("<HH", 1, 0)))]
    ),
    "zip64 sizes beyond all": make_zip(
        [
            one(
                local=Claims(size=0xFFFFFFFF, packed=0xFFFFFFFF),
                central=Claims(
                    size=0xFFFFFFFF,
                    packed=0xFFFFFFFF,
                    extra=struct.pack("<HH2Q", 1, 16, 2**63, 2**63),
                ),
            )
        ]
    ),
    "descriptor promised by the directory alone": make_zip(
        [one(central=Claims(flags=UTF8 | DESCRIPTOR), local=Claims(crc=9))]
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_archives_are_refused(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, BAD[kind])
    with pytest.raises(ArtifactError):
        contents(path)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "./a", "a//b", "..", ".", "a/.", "//", "/"]
)
def test_paths_that_leave_the_root_are_refused(name: str, tmp_path: Path) -> None:
    members = wheel_members("demo", "1.0", {"demo.py": b""})
    path = written(tmp_path, make_zip([one(name), *members]))
    with path.open("rb") as archive, pytest.raises(ArtifactError):
        wheel_entries(
            path, archive, Scheme(prefix="opt/env", python="3.11"), name="demo", version="1.0"
        )


@pytest.mark.parametrize("cut", range(0, 260, 13))
def test_truncated_archives_are_refused(cut: int, tmp_path: Path) -> None:
    data = make_zip([one("a"), one("b")])
    path = written(tmp_path, data[: len(data) * cut // 260])
    with pytest.raises(ArtifactError):
        contents(path)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, make_zip([Member("a", NOISE * 500, method=STORED)]))
    with path.open("rb") as archive:
        info = read_zip(path, archive)[0]
        os.truncate(path, 1_200_000)
        with pytest.raises(ArtifactError):
            info.member.read()


# --- mutations ---

WHEEL = make_zip(
    wheel_members(
        "demo",
        "1.0",
        {"demo/__init__.py": TEXT, "demo/ünï.txt": b"", "demo/large.bin": bytes(9000)},
        entry_points="[console_scripts]\ndemo = demo:main\n",
        data={"scripts/run": b"#!python\nprint(1)\n", "headers/x.h": b"1"},
        executable=["demo/__init__.py"],
        pack=zlib_stream,
    )
)
BASES = {
    "wheel": WHEEL,
    "descriptors": make_zip([one("a", descriptor=True), one("b", method=STORED)]),
    "zip64": make_zip(
        [one(central=Claims(size=0xFFFFFFFF, extra=struct.pack("<HHQ", 1, 8, len(TEXT))))]
    ),
}


def survive(path: Path) -> None:
    """Use a mutated archive in every way; only ArtifactError may come out."""
    for use in (_as_zip, _as_wheel):
        with contextlib.suppress(ArtifactError):
            use(path)


def _as_zip(path: Path) -> None:
    contents(path)


def _as_wheel(path: Path) -> None:
    with path.open("rb") as archive:
        entries = wheel_entries(
            path, archive, Scheme(prefix="opt/env", python="3.11"), name="demo", version="1.0"
        )
        for entry in entries:
            _check(entry)


def _check(entry: Entry) -> None:
    assert entry.path.startswith("opt/env/")
    assert ".." not in entry.path.split("/")
    assert entry.content is not None
    assert len(entry.content.read()) == entry.content.size


def mutated(base: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    for place, piece in edits:
        at = place % len(base)
        base = base[:at] + piece + base[at + len(piece) :]
    return base


@given(
    st.sampled_from(sorted(BASES)),
    st.lists(
        st.tuples(
            st.integers(0, 1 << 20),
            st.one_of(
                st.binary(min_size=1, max_size=4),
                st.sampled_from(
                    [b"\xff" * 4, b"\0" * 4, b"PK\x05\x06", b"\xff\xff", b"../", b"\0"]
                ),
            ),
        ),
        min_size=1,
        max_size=4,
    ),
)
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_mutated_archives(tmp_path: Path, base: str, edits: list[tuple[int, bytes]]) -> None:
    survive(written(tmp_path, mutated(BASES[base], edits)))


@given(
    st.sampled_from(sorted(BASES)),
    st.integers(0, 1 << 12),
    st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x01", b"\xff\xff", b"\x00\x00\x00\x80"]),
)
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_mutated_directories(tmp_path: Path, base: str, back: int, piece: bytes) -> None:
    """Hit the headers rather than the content."""
    data = BASES[base]
    start = data.index(b"PK\x01\x02")
    at = start + back % (len(data) - start)
    survive(written(tmp_path, data[:at] + piece + data[at + len(piece) :]))


# --- memory ---

_MEASURE = r"""
import io, re, sys
from pathlib import Path
from envlock.errors import ArtifactError
from envlock.layers.gzipstream import GzipWriter
from envlock.layers.wheel import Scheme, wheel_entries

class Nowhere(io.RawIOBase):
    def write(self, data):
        return len(data)

path = Path(sys.argv[1])
try:
    with path.open("rb") as archive:
        scheme = Scheme(prefix="opt/env", python="3.11")
        for entry in wheel_entries(path, archive, scheme, name="demo", version="1.0"):
            if hasattr(entry.content, "write_to"):
                entry.content.write_to(GzipWriter(Nowhere()))
    print("fine")
except ArtifactError:
    print("refused")
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(int(peak[1]) // 1024)
"""


@pytest.fixture(scope="module")
def bomb() -> tuple[bytes, int, int]:
    """Return (stream, size, CRC-32) of 512 MiB of zeros."""
    packer, crc, piece, count = zlib.compressobj(1, zlib.DEFLATED, -15), 0, bytes(1 << 24), 32
    stream = b""
    for _ in range(count):
        stream += packer.compress(piece)
        crc = zlib.crc32(piece, crc)
    return stream + packer.flush(), count * len(piece), crc


@pytest.mark.parametrize(
    ("place", "claim", "outcome"),
    [
        ("demo/bomb", None, "fine"),
        ("demo/bomb", 100, "refused"),
        ("demo/bomb", 2**31, "refused"),
        ("demo-1.0.data/data/bomb", None, "fine"),
        ("demo-1.0.data/scripts/bomb", None, "fine"),
        ("demo-1.0.data/data/bomb", 2**31, "refused"),
        ("demo-1.0.dist-info/entry_points.txt", None, "refused"),
        ("demo-1.0.dist-info/entry_points.txt", 100, "refused"),
        ("demo-1.0.dist-info/RECORD", None, "refused"),
        ("demo-1.0.dist-info/WHEEL", None, "refused"),
    ],
)
def test_a_bomb_is_bounded_in_memory(
    place: str, claim: int | None, outcome: str, bomb: tuple[bytes, int, int], tmp_path: Path
) -> None:
    stream, size, crc = bomb
    told = Claims(size=claim or size, crc=crc)
    members = [m for m in wheel_members("demo", "1.0", {"demo.py": b""}) if m.name != place]
    member = Member(place, b"", stream, local=told, central=told)
    path = written(tmp_path, make_zip([*members, member]))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, path], capture_output=True, check=True, text=True
    )
    result, peak = done.stdout.split()
    assert result == outcome
    assert int(peak) < 120


def test_a_stream_that_packs_nothing_is_bounded_in_memory(tmp_path: Path) -> None:
    """Megabytes of empty blocks that inflate to a few bytes."""
    stream = b"\0\0\0\xff\xff" * (20 << 20) + zlib_stream(b"x")
    members = wheel_members("demo", "1.0", {"demo.py": b""})
    path = written(tmp_path, make_zip([*members, Member("demo/slow", b"x", stream)]))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, path], capture_output=True, check=True, text=True
    )
    result, peak = done.stdout.split()
    assert result == "fine"
    assert int(peak) < 120


def test_the_limit_between_spliced_and_copied(tmp_path: Path) -> None:
    for size in (SPLICE_LIMIT - 1, SPLICE_LIMIT, SPLICE_LIMIT + 1):
        for make in (_zeros, _noise):
            data = make(size)
            member = Member("a", data, zlib_stream(data))
            path = written(tmp_path, make_zip([member, one("b")]))
            assert contents(path) == {"a": data, "b": TEXT}


def _zeros(size: int) -> bytes:
    return bytes(size)


def _noise(size: int) -> bytes:
    return random.Random(2).randbytes(size)
