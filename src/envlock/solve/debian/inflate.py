"""Decompression that never yields more than it was told to expect."""

from __future__ import annotations

import lzma
import zlib
from typing import Protocol

from envlock.errors import ArtifactError

_MEMORY = 512 << 20
"""Bytes of memory an xz stream may ask for; ``xz -9`` needs 65 MiB to decompress."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def inflate(data: bytes, suffix: str, limit: int) -> bytes:
    """Return ``data`` decompressed by the rule of ``suffix`` (``.xz``, ``.gz`` or empty).

    Concatenated streams are read as one.  Raises ArtifactError for more than ``limit`` bytes,
    damaged data, or a suffix that is not known.
    """
    if suffix not in {".xz", ".gz", ""}:
        raise ArtifactError(f"compressed as {suffix!r}, which envlock cannot read")
    parts: list[bytes] = []
    room = limit
    while suffix and data:
        try:
            part, decompressor = _stream(data, suffix, room + 1)
        except (lzma.LZMAError, zlib.error) as error:
            raise ArtifactError(f"damaged {suffix} data: {error}") from error
        room -= len(part)
        if room < 0:
            break
        if not decompressor.eof:
            raise ArtifactError(f"damaged {suffix} data: it ends too early")
        parts.append(part)
        data = decompressor.unused_data.lstrip(b"\0")
    if not suffix:
        parts, room = [data], limit - len(data)
    if room < 0:
        raise ArtifactError(f"decompresses to more than the {limit} bytes it should have")
    return b"".join(parts)


def _stream(data: bytes, suffix: str, most: int) -> tuple[bytes, _Decompressor]:
    if suffix == ".xz":
        xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
        return xz.decompress(data, most), xz
    gzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
    return gzip.decompress(data, most), gzip
