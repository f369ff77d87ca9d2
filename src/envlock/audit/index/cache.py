"""Indexes kept by the wheel's sha256 and the index format.

A file is a digest of the rest, the length of the directory, the directory (the wheel's own
facts and what is always wanted of its modules) and what each module has besides, packed.  It is
read when the module is looked at, and copied as it is where another wheel has the same source.

Beside the indexes lies, for each distribution, the sha256 of the wheel that was indexed last:
most sources of the next version will be the same.  Whoever names his wheel like another one
takes nothing but that gain, since streams are found by their sources' sha256.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from envlock.audit.index.entries import Entry, Record
from envlock.audit.index.model import FORMAT, Distribution, WheelIndex
from envlock.audit.model import normalize
from envlock.files import write_atomically
from envlock.leases import used

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TUPLES = ("requires", "extras", "namespaces", "pth", "paths", "entry_points", "notes", "depends",
           "declares")  # fmt: skip
_LISTS = ("requires", "extras", "modules", "entry_points")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LENGTH = struct.Struct("<I")
_DIGEST = 32
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
        used(path)
        try:
            return decode(path.read_bytes())
        except _DAMAGED:
            return None

    def has(self, sha256: str) -> bool:
        """Tell whether there is an entry, without reading it."""
        path = self._path(sha256)
        return path is not None and used(path)

    def put(self, sha256: str, data: bytes) -> None:
        """Keep an index as :func:`encode` gives it; raises DiskError."""
        path = self._path(sha256)
        if path is not None:
            write_atomically(path, data, sync=False)
            latest = self._latest(_parts(data)[0]["name"])
            if latest is not None:
                write_atomically(latest, sha256.encode(), sync=False)

    def records(self, name: str) -> dict[tuple[str, str, str], Record]:
        """Return what the distribution's last wheel had, by module, kind and digest."""
        latest = self._latest(name)
        if latest is None:
            return {}
        try:
            path = self._path(latest.read_text("ascii"))
            found = _parts(path.read_bytes())[1] if path is not None else []
        except _DAMAGED:
            return {}
        return {(one.module, one.head["kind"], one.digest): one for one in found if one.digest}

    def _path(self, sha256: str) -> Path | None:
        if self._folder is None or not sha256:
            return None
        return self._folder / f"{sha256}.{FORMAT}.index"

    def _latest(self, name: str) -> Path | None:
        if self._folder is None or not _NAME.fullmatch(name):
            return None
        return self._folder / f"{normalize(name)}.{FORMAT}.latest"


def encode(index: WheelIndex, records: Iterable[Record]) -> bytes:
    """Return the file of an index whose modules are ``records``."""
    ordered = sorted(records, key=lambda record: record.module)
    directory = {
        "wheel": asdict(replace(index, modules={})),
        "modules": [[one.module, one.head, one.digest, len(one.stream)] for one in ordered],
    }
    text = json.dumps(directory, separators=(",", ":"), ensure_ascii=False)
    packed = zlib.compress(text.encode("utf-8", "surrogatepass"), 6)
    parts = [_LENGTH.pack(len(packed)), packed, *(record.stream for record in ordered)]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"".join([digest.digest(), *parts])


def decode(data: bytes) -> WheelIndex:
    """Read what :func:`encode` wrote; raises ValueError where it is damaged."""
    wheel, records = _parts(data)
    for name in _TUPLES:
        wheel[name] = tuple(wheel[name])
    wheel["distributions"] = tuple(_distribution(one) for one in wheel["distributions"])
    wheel["modules"] = {one.module: Entry(one.head, one.digest, one.stream) for one in records}
    return WheelIndex(**wheel)


def _distribution(value: dict[str, Any]) -> Distribution:
    return Distribution(**{**value, **{name: tuple(value[name]) for name in _LISTS}})


def _parts(data: bytes) -> tuple[dict[str, Any], list[Record]]:
    """Return the wheel's own facts and its modules."""
    if hashlib.sha256(memoryview(data)[_DIGEST:]).digest() != data[:_DIGEST]:
        raise ValueError("the index is damaged")
    (length,) = _LENGTH.unpack_from(data, _DIGEST)
    place = _DIGEST + _LENGTH.size
    packed = zlib.decompress(memoryview(data)[place : place + length])
    place += length
    directory: dict[str, Any] = json.loads(packed.decode("utf-8", "surrogatepass"))
    records = []
    for module, head, digest, size in directory["modules"]:
        stream = data[place : place + size]
        records.append(Record(module=module, head=head, digest=digest, stream=stream))
        place += size
    return directory["wheel"], records
