"""The two wrappers of a .deb: an ar archive, and compressed members of it (ar(5), deb(5))."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from envlock.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

CHUNK = 1 << 18
XZ_MEMORY = 256 << 20
"""Bytes that an xz stream may ask for; ``xz -9``, the most dpkg-deb uses, needs 65 MiB."""

_MAGIC = b"!<arch>\n"


@dataclass(frozen=True, slots=True)
class ArMember:
    """A member of an ar archive; offset and size in bytes."""

    name: str
    offset: int
    size: int


def read_ar(file: BinaryIO) -> list[ArMember]:
    """Return the members of an ar archive (ar(5)); bodies are not read.

    Raises ArtifactError if it is not one, or ends too early.
    """
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ArtifactError("not an ar archive")
    end = file.seek(0, 2)
    position, members = len(_MAGIC), list[ArMember]()
    while position < end:
        file.seek(position)
        member = _ar_member(file.read(60), position + 60)
        position = member.offset + member.size
        if position > end:
            raise ArtifactError(f"the ar archive ends within its member {member.name!r}")
        members.append(member)
        if position % 2 and position < end:
            file.seek(position)
            if file.read(1) != b"\n":
                raise ArtifactError(f"bad padding after the ar member {member.name!r}")
            position += 1
    return members


def _ar_member(header: bytes, offset: int) -> ArMember:
    size = header[48:58].rstrip(b" ")
    if len(header) != 60 or header[58:] != b"`\n" or not size.isdigit():
        raise ArtifactError("bad header in an ar archive")
    # GNU ar ends names with a slash; Debian's are ASCII (deb(5)).
    name = header[:16].rstrip(b" ").removesuffix(b"/")
    if not name.isascii() or not name:
        raise ArtifactError(f"bad member name {name!r} in an ar archive")
    return ArMember(name.decode("ascii"), offset, int(size))


class _Inflate(Protocol):
    """What lzma's, bz2's and zstd's decompressors share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


class _Stored:
    """No compression."""

    eof = False
    needs_input = True
    unused_data = b""

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:  # noqa: ARG002
        return data


class _Gzip:
    """zlib's object under the names that the others use (RFC 1952)."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._held_back = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail and not self._held_back

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:
        size = max(max_length, 0)
        made = self._inner.decompress(self._inner.unconsumed_tail + data, size)
        self._held_back = len(made) == size  # more may come without any input
        return made


def _xz() -> _Inflate:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


class _Zstd:
    """Python 3.14's decompressor, whose own error class is unknown elsewhere."""

    def __init__(self) -> None:
        try:
            from compression import zstd  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise ArtifactError(
                "the package is compressed with zstd, which this Python cannot read",
                hint="run envlock with Python 3.14 or newer, or use Debian's own xz packages",
            ) from None
        self._error: type[Exception] = zstd.ZstdError
        self._inner: _Inflate = zstd.ZstdDecompressor()

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:
        try:
            return self._inner.decompress(data, max_length)
        except self._error as error:
            raise ValueError(str(error)) from None


DECODERS: Mapping[str, Callable[[], _Inflate]] = {
    "": _Stored,
    ".gz": _Gzip,
    ".xz": _xz,
    ".bz2": bz2.BZ2Decompressor,
    ".zst": _Zstd,
}
"""By the suffix of the member's name."""


class Unpacked:
    """The decompressed bytes of one ar member, at most ``limit`` of them."""

    def __init__(self, file: BinaryIO, member: ArMember, suffix: str, limit: int) -> None:
        file.seek(member.offset)
        self._file, self._left = file, member.size
        self._make = DECODERS[suffix]
        self._decoder = self._make()
        self._limit, self._seen = limit, 0
        self._ready = bytearray()

    def read(self, size: int, /) -> bytes:
        """Return ``size`` bytes, or what is left at the end."""
        while len(self._ready) < size:
            try:
                piece = self._more()
            except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
                raise ArtifactError(f"damaged compressed data: {error}") from None
            if piece is None:
                break
            self._seen += len(piece)
            if self._seen > self._limit:
                raise ArtifactError(f"unpacks to more than the {self._limit} bytes allowed")
            self._ready += piece
        with memoryview(self._ready) as view:
            data = bytes(view[:size])
        del self._ready[:size]
        return data

    def _more(self) -> bytes | None:
        """Return some bytes, perhaps none yet; None at the end of the member."""
        rest = b""
        if self._decoder.eof:
            # xz and gzip files may be several streams; zeros after one are padding.
            rest = self._decoder.unused_data.lstrip(b"\0")
            if not rest:
                rest = self._raw().lstrip(b"\0")
            if not rest:
                if not self._left:
                    return None
                return b""
            self._decoder = self._make()
        elif self._decoder.needs_input:
            rest = self._raw()
            if not rest:
                if isinstance(self._decoder, _Stored):
                    return None
                raise ArtifactError("the compressed data ends too early")
        return self._decoder.decompress(rest, CHUNK)

    def _raw(self) -> bytes:
        data = self._file.read(min(CHUNK, self._left))
        if not data and self._left:
            raise ArtifactError("the file became shorter while it was read")
        self._left -= len(data)
        return data


def inflate(data: bytes, suffix: str, limit: int) -> bytes:
    """Return ``data`` decompressed by the rule of ``suffix`` (``.xz``, ``.gz``, empty, ...).

    Raises ArtifactError for more than ``limit`` bytes, for damaged data, and for a suffix that
    is not known.
    """
    if suffix not in DECODERS:
        raise ArtifactError(f"compressed as {suffix!r}, which envlock cannot read")
    whole = ArMember("", 0, len(data))
    return Unpacked(io.BytesIO(data), whole, suffix, limit).read(limit + 1)
