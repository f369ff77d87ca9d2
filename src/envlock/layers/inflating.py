"""Who inflates and adds up CRC-32: zlib-ng where the extra ``fast`` brought it, else zlib.

Decompression has one right answer and a CRC-32, too, so neither can change a digest.  zlib-ng
is zlib's own code with faster loops: it refuses the same damaged streams (the tests hold the
two against each other), which ISA-L, faster still, does not.  Nothing is ever *compressed* by
either.
"""

from __future__ import annotations

import importlib
import zlib
from typing import Any

RAW = -zlib.MAX_WBITS
"""wbits of a DEFLATE stream without a header (RFC 1951), as a zip has them."""

GZIP = 16 + zlib.MAX_WBITS
"""wbits of a gzip member (RFC 1952)."""


def _library() -> Any:
    try:
        return importlib.import_module("zlib_ng.zlib_ng")  # the same names as zlib has
    except ImportError:
        return zlib


library = _library()


def decompressor(wbits: int) -> zlib._Decompress:
    """Return what ``zlib.decompressobj`` returns; it raises :data:`DAMAGED`."""
    made: zlib._Decompress = library.decompressobj(wbits)
    return made


def crc32(data: bytes, before: int = 0) -> int:
    """Return the CRC-32 (RFC 1952, 8) of ``data`` behind bytes whose own is ``before``."""
    found: int = library.crc32(data, before)
    return found


DAMAGED: tuple[type[Exception], ...] = (zlib.error, library.error)
"""What a decompressor raises for a stream that is none."""
