"""A strict reader for the tar archives in packages.

deb(5) allows v7, ustar and GNU archives with long names, and nothing else: PAX headers,
sparse files and unknown type flags are errors there.  conda packages come with PAX headers,
too.  The standard library's tarfile accepts far more, stops silently at a truncated header
and changes between Python releases; what a layer holds must not depend on that.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from envlock.errors import ArtifactError
from envlock.layers.entry import Bytes, Content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.layers.gzipstream import GzipWriter

BLOCK = 512
LONGEST_NAME = 65536
"""Bytes that a GNU long name may have; Linux's own limit for a path is 4096."""

LARGEST_FILE = 2 << 30
"""Bytes of one file, where the reader makes its content."""

AT_HAND = 16 << 20
"""Files of more bytes than this are not held in memory: they are read while they pass."""

PIECE = 1 << 20
EMPTY = Bytes(b"")

MOST_MEMBERS = 1_000_000

MemberKind = Literal["dir", "file", "symlink", "hardlink"]

_PAX_SIZE = b"size"
_PAX_KEYS = {b"path": b"L", b"linkpath": b"K", b"size": _PAX_SIZE}

_KINDS: dict[bytes, MemberKind] = {
    b"0": "file",
    b"\0": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"5": "dir",
}
_REFUSED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a fifo",
    b"7": "a contiguous file",
    b"S": "a sparse file",
    b"x": "a PAX header",
    b"g": "a PAX header",
}


class Reader(Protocol):
    """Where the archive's bytes come from; fewer bytes than asked for means the end."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member as the archive states it.

    name and linkname are as written (``./usr/bin/x``); mode holds the 12 permission bits.
    """

    name: str
    kind: MemberKind
    mode: int
    uid: int
    gid: int
    linkname: str = ""
    content: Content = EMPTY


class Streamed:
    """The content of a large file, which is read from its archive while it passes.

    It can be had until the next member is asked for: written once, or read into memory (and
    then as often as wanted).  where: the archive, for errors.
    """

    def __init__(self, source: Reader, size: int, name: str) -> None:
        self.where: str | None = None
        self._source, self._size, self._name = source, size, name
        self._left = size
        self._data: bytes | None = None

    @property
    def size(self) -> int:
        return self._size

    def read(self) -> bytes:
        """Return all bytes, and keep them."""
        if self._data is None:
            whole = io.BytesIO()  # unlike join, without a second copy
            whole.writelines(self._pieces())
            self._data = whole.getvalue()
        return self._data

    def write_to(self, stream: GzipWriter) -> None:
        """Write all bytes; raises ArtifactError where the archive ends before them."""
        for piece in self._pieces():
            stream.write(piece)

    def skip(self) -> None:
        """Read what nobody wanted."""
        while self._left:
            self._next()

    def _pieces(self) -> Iterator[bytes]:
        if self._data is not None:
            for start in range(0, self._size, PIECE):
                yield self._data[start : start + PIECE]
            return
        if self._left != self._size:
            raise RuntimeError(f"the content of {self._name!r} has passed already")
        while self._left:
            yield self._next()

    def _next(self) -> bytes:
        try:
            piece = _exactly(self._source, min(PIECE, self._left), f"the file {self._name!r}")
        except ArtifactError as error:
            error.where = error.where or self.where
            raise
        self._left -= len(piece)
        return piece


@dataclass(frozen=True, slots=True)
class _Header:
    raw: bytes
    size: int

    @property
    def flag(self) -> bytes:
        return self.raw[156:157]


MakeContent = Callable[[Reader, int, str], Content]
"""Takes the content of a file (source, size, name) and its padding from the source."""


def read_members(
    source: Reader, *, pax: bool = False, content: MakeContent | None = None
) -> Iterator[Member]:
    """Yield the members of a tar in order, and check that it ends as a tar must.

    pax: allow PAX headers, of which only path, linkpath and size count; content: makes the
    content of files, by default in memory or passing by.  Raises ArtifactError for everything
    else that deb(5) does not allow.
    """
    make = content or _file
    longs: dict[bytes, str] = {}
    for _ in range(MOST_MEMBERS):
        raw = _exactly(source, BLOCK, "a tar header")
        if raw == bytes(BLOCK):
            _check_end(source, longs)
            return
        header = _parse_header(raw)
        if header.flag in {b"L", b"K"}:
            if header.flag in longs:
                raise ArtifactError("two long-name records in a row in a tar")
            longs[header.flag] = _long_name(source, header.size)
            continue
        if pax and header.flag in {b"x", b"g"}:
            _read_pax(source, header, longs)
            continue
        member = _member(source, _sized(header, longs), longs, make)
        yield member
        if isinstance(member.content, Streamed):
            member.content.skip()
            _skip_padding(source, member.content.size)
        longs = {}
    raise ArtifactError(f"more than {MOST_MEMBERS} members in a tar")


def _exactly(source: Reader, size: int, what: str) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise ArtifactError(f"the tar ends within {what}")
    return data


def _check_end(source: Reader, longs: dict[bytes, str]) -> None:
    """Read to the end: zeros only.  This also lets the decompressor check its trailer."""
    if longs:
        raise ArtifactError("a tar ends after a long-name record")
    while data := source.read(1 << 16):
        if data.count(0) != len(data):
            raise ArtifactError("data after the end of a tar")


def _parse_header(raw: bytes) -> _Header:
    """Check the header's checksum (the unsigned sum with its own field blank) and size."""
    total = sum(raw[:148]) + 8 * 0x20 + sum(raw[156:])
    if _number(raw[148:156], "checksum") != total:
        raise ArtifactError("wrong checksum in a tar header")
    return _Header(raw, _number(raw[124:136], "size"))


def _number(field: bytes, what: str) -> int:
    """Return a numeric field: octal text, or GNU's base 256 for large positive values."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.lstrip(b" ").split(b"\0", 1)[0].rstrip(b" ")
    if text.strip(b"01234567"):
        raise ArtifactError(f"bad {what} {field!r} in a tar header")
    return int(text, 8) if text else 0


def _text(field: bytes) -> str:
    """Return a NUL-terminated name; Debian policy 10.10 wants UTF-8."""
    data = field.split(b"\0", 1)[0]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ArtifactError(f"the file name {data!r} in a tar is not UTF-8") from None


def _long_name(source: Reader, size: int) -> str:
    if not 0 < size <= LONGEST_NAME:
        raise ArtifactError(f"a long name of {size} bytes in a tar")
    return _text(_content(source, size, "a long name"))


def _content(source: Reader, size: int, what: str) -> bytes:
    data = _exactly(source, size, what)
    _skip_padding(source, size)
    return data


def _skip_padding(source: Reader, size: int) -> None:
    if size % BLOCK:
        _exactly(source, BLOCK - size % BLOCK, "padding")


def _name(raw: bytes) -> str:
    name = _text(raw[:100])
    # Only POSIX ustar has a prefix; old GNU archives keep times at its place.
    if raw[257:263] == b"ustar\0" and raw[345]:
        return f"{_text(raw[345:500])}/{name}"
    return name


def _sized(header: _Header, longs: dict[bytes, str]) -> _Header:
    size = longs.get(_PAX_SIZE)
    return header if size is None else _Header(header.raw, int(size))


def _read_pax(source: Reader, header: _Header, longs: dict[bytes, str]) -> None:
    """Take what counts from a PAX header (POSIX.1-2017, pax, "Extended Header")."""
    if header.size > LONGEST_NAME:
        raise ArtifactError(f"a PAX header of {header.size} bytes in a tar")
    data = _content(source, header.size, "a PAX header")
    while data:
        digits, _, rest = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 7 else 0
        record, data = rest[: length - len(digits) - 1], data[length:]
        key, equals, value = record.removesuffix(b"\n").partition(b"=")
        if not len(digits) + 1 < length <= len(digits) + 1 + len(rest):
            raise ArtifactError("a PAX header in a tar has a record of a wrong length")
        if not equals or not record.endswith(b"\n") or key.startswith(b"GNU.sparse"):
            raise ArtifactError("a PAX header in a tar cannot be understood")
        if key not in _PAX_KEYS:
            continue
        text = _text(value)
        if (
            header.flag == b"g"
            or not text
            or (key == b"size" and not (value.isdigit() and len(value) < 20))
        ):
            raise ArtifactError(f"a PAX header in a tar sets {key.decode()} to {text!r}")
        longs[_PAX_KEYS[key]] = text


def _member(source: Reader, header: _Header, longs: dict[bytes, str], make: MakeContent) -> Member:
    raw, flag = header.raw, header.flag
    name = longs.get(b"L") or _name(raw)
    if flag in _REFUSED:
        raise ArtifactError(f"{name!r} is {_REFUSED[flag]}; a package may not hold one")
    if flag not in _KINDS:
        raise ArtifactError(f"{name!r} has the unknown tar type {flag!r}")
    kind = _KINDS[flag]
    if flag == b"\0" and name.endswith("/"):
        kind = "dir"  # v7 had no type for it
    if kind != "file" and header.size:
        raise ArtifactError(f"{name!r} is not a file, but has {header.size} bytes in its tar")
    if header.size > LARGEST_FILE and make is _file:
        raise ArtifactError(f"{name!r} has {header.size} bytes, more than {LARGEST_FILE}")
    return Member(
        name=name,
        kind=kind,
        mode=_number(raw[100:108], "mode") & 0o7777,
        uid=_number(raw[108:116], "uid"),
        gid=_number(raw[116:124], "gid"),
        linkname=longs.get(b"K") or _text(raw[157:257]),
        content=make(source, header.size, name) if kind == "file" else EMPTY,
    )


def _file(source: Reader, size: int, name: str) -> Content:
    if size > AT_HAND:
        return Streamed(source, size, name)
    return Bytes(_content(source, size, f"the file {name!r}"))
