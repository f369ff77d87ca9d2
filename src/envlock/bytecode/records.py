"""Compiled modules as the image's Python writes them: read as what an enemy may have written.

One after the other: the lengths of path and data as two big-endian numbers of 4 bytes, the path
of the ``.pyc``, its data.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PYC = re.compile(r"/(?:[^/\0]+/)+__pycache__/[^/\0]+\.pyc")
_HEAD = 8
_LONGEST_PATH = 4096
_LARGEST_MODULE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Where a compiled module is to go, and where its ``size`` bytes are."""

    path: str
    file: Path
    offset: int
    size: int

    @property
    def source(self) -> str:
        """The path of the module that was compiled (PEP 3147)."""
        folder, _, name = self.path.rpartition("/__pycache__/")
        return f"{folder}/{name.removesuffix('.pyc').rpartition('.')[0]}.py"

    def head(self) -> bytes:
        """Return what is written before the data."""
        name = self.path.encode("utf-8", "surrogateescape")
        return len(name).to_bytes(4, "big") + self.size.to_bytes(4, "big") + name


def records(file: Path) -> list[Record]:
    """Return what ``file`` holds.

    Raises ArtifactError for what is cut off or absurdly long, and for a path that is no
    compiled module's; DiskError.
    """
    found = []
    with disk_errors(file), file.open("rb") as stream:
        whole = stream.seek(0, 2)
        stream.seek(0)
        while head := stream.read(_HEAD):
            name, size = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
            offset = stream.tell() + name
            bounded = name <= _LONGEST_PATH and size <= _LARGEST_MODULE
            if len(head) < _HEAD or not bounded or offset + size > whole:
                raise ArtifactError("what the image's Python compiled is damaged")
            path = stream.read(name).decode("utf-8", "surrogateescape")
            if not _PYC.fullmatch(path) or {".", ".."} & set(path.split("/")):
                raise ArtifactError(f"the image's Python wrote a module to {path!r}")
            found.append(Record(path=path, file=file, offset=offset, size=size))
            stream.seek(offset + size)
    return found


def contents(found: Iterable[Record]) -> Iterator[tuple[Record, bytes]]:
    """Yield modules with their data; raises ArtifactError, DiskError."""
    for file, group in itertools.groupby(found, key=lambda record: record.file):
        with disk_errors(file), file.open("rb") as stream:
            for record in group:
                stream.seek(record.offset)
                data = stream.read(record.size)
                if len(data) != record.size:
                    raise ArtifactError("what the image's Python compiled is damaged")
                yield record, data


def in_order(found: Iterable[Record], site: str) -> list[Record]:
    """Return modules in the order in which the image's Python finds them.

    What lies in ``site`` comes first, and in each folder its own modules before other folders.
    """

    def place(record: Record) -> tuple[bool, list[tuple[bool, str]]]:
        *folders, name = record.source.split("/")
        steps = [(True, folder) for folder in folders]
        return not record.path.startswith(f"{site}/"), [*steps, (False, name)]

    return sorted(found, key=place)
