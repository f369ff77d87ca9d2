"""File contents that come without a DEFLATE stream of their own, put into layers.

conda packages are zstd or bzip2 inside, and neither can be copied into a gzip layer.  Small
files go through the encoder, which finds matches; large ones get an entropy code only, or
are stored: see "conda packages" in docs/explanation/packer.md for what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from envlock.layers.deflate import LITERALS_CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.layers.gzipstream import GzipWriter

SMALL = 1024 * 1024
"""Files of more bytes than this are not searched for matches."""


class Pieced(Protocol):
    """Content that can be had piece by piece; ``size`` in bytes."""

    @property
    def size(self) -> int: ...

    def read(self) -> bytes: ...

    def pieces(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Pieces:
    """Bytes at hand as :class:`Pieced`."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self) -> bytes:
        """Return all bytes."""
        return self.data

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes in chunks of one code."""
        for start in range(0, len(self.data), LITERALS_CHUNK):
            yield self.data[start : start + LITERALS_CHUNK]


@dataclass(frozen=True, slots=True)
class Coded:
    """A file's content; crc: its CRC-32."""

    inner: Pieced
    crc: int

    @property
    def size(self) -> int:
        return self.inner.size

    def read(self) -> bytes:
        """Return all bytes."""
        return self.inner.read()

    def write_to(self, stream: GzipWriter) -> None:
        """Write all bytes, coded by the file's size alone."""
        if self.size <= SMALL:
            stream.write(self.inner.read())
            return
        for piece in self.inner.pieces():
            stream.write_large(piece)
