"""Indexes kept by the wheel's sha256 and the index format.

A file is a sequence of zlib streams: the wheel's own facts, then its modules in portions, as
the workers made them.  Nothing is decoded only to be written again.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from envlock.audit.index.model import FORMAT, WheelIndex
from envlock.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TUPLES = ("requires", "extras", "namespaces", "pth", "paths", "entry_points", "notes")
_LENGTH = struct.Struct("<I")
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, zlib.error, struct.error)


class IndexCache:
    """A folder of indexes; ``folder`` None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, sha256: str) -> WheelIndex | None:
        """Return the index of a wheel, or None; damaged entries count as missing."""
        path = self._path(sha256)
        if path is None:
            return None
        try:
            return decode(path.read_bytes())
        except _DAMAGED:
            return None

    def has(self, sha256: str) -> bool:
        """Tell whether there is an entry, without reading it."""
        path = self._path(sha256)
        return path is not None and path.is_file()

    def put(self, sha256: str, data: bytes) -> None:
        """Keep an index as :func:`encode` gives it; raises DiskError."""
        path = self._path(sha256)
        if path is not None:
            write_atomically(path, data)

    def _path(self, sha256: str) -> Path | None:
        if self._folder is None or not sha256:
            return None
        return self._folder / f"{sha256}.{FORMAT}.index"


def pack(value: Any) -> bytes:
    """Return JSON's types as one compressed piece."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, check_circular=False)
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 1)


def unpack(piece: bytes) -> Any:
    """Read what :func:`pack` wrote."""
    return json.loads(zlib.decompress(piece).decode("utf-8", "surrogatepass"))


def encode(index: WheelIndex, portions: Sequence[bytes]) -> bytes:
    """Return the file of an index whose modules are in packed ``portions``."""
    bare = pack(asdict(replace(index, modules={})))
    return b"".join(_LENGTH.pack(len(piece)) + piece for piece in (bare, *portions))


def decode(data: bytes) -> WheelIndex:
    """Read what :func:`encode` wrote."""
    pieces, place = [], 0
    while place < len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        pieces.append(unpack(data[place : place + length]))
        place += length
    value: dict[str, Any] = pieces[0]
    for name in _TUPLES:
        value[name] = tuple(value[name])
    modules: dict[str, Any] = {}
    for portion in pieces[1:]:
        modules.update(portion)
    value["modules"] = dict(sorted(modules.items()))
    return WheelIndex(**value)
