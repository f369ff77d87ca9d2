"""The list of an environment's files, and what has become of them since they were installed."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.errors import LockError
from envlock.files import disk_errors, read_pieces, write_atomically
from envlock.install.prefix import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from envlock.layers.clashes import Mark

LISTING = ".envlock.files.json"
"""The file beside the marker that has every other file's mark."""

FORMAT = 1
_LINK = -2


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Paths below the prefix that are gone, have other bytes, or were not installed; sorted."""

    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.added)


def write_listing(folder: Path, files: Mapping[str, Mark]) -> None:
    """Write the marks of files by their paths below the prefix; raises DiskError."""
    value = {"format": FORMAT, "files": dict(sorted(files.items()))}
    write_atomically(folder / LISTING, f"{json.dumps(value, separators=(',', ':'))}\n".encode())


def link_mark(target: str) -> Mark:
    """Return the mark of a symbolic link."""
    return zlib.crc32(target.encode("utf-8", "surrogateescape")), _LINK


def changes(prefix: Path) -> Changes:
    """Look at every file of an environment; modules that Python compiled do not count.

    Raises LockError for one whose list is missing or damaged, DiskError.
    """
    listed = _listed(prefix / LISTING)
    found = dict(_found(prefix))
    added = [name for name in found.keys() - listed.keys() if not _is_compiled(name)]
    there = sorted(found.keys() & listed.keys())
    return Changes(
        missing=tuple(sorted(listed.keys() - found.keys())),
        changed=tuple(name for name in there if _mark(found[name], listed[name]) != listed[name]),
        added=tuple(sorted(added)),
    )


def _listed(path: Path) -> dict[str, Mark]:
    try:
        value = json.loads(path.read_bytes())
        marks = {name: (int(crc), int(size)) for name, (crc, size) in value["files"].items()}
        if value["format"] == FORMAT:
            return marks
        reason = f"it has format {value['format']!r}"
    except FileNotFoundError:
        reason = "an envlock that kept none installed this"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error)
    raise LockError(
        f"the list of its files cannot be read: {reason}", where=str(path), hint="install again"
    )


def _found(prefix: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield everything below the prefix that is no folder, by its path."""
    waiting = [(str(prefix), "")]
    while waiting:
        folder, below = waiting.pop()
        with disk_errors(prefix), os.scandir(folder) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{name}/"))
                elif name not in (MARKER, LISTING):
                    yield name, entry


def _mark(entry: os.DirEntry[str], listed: Mark) -> Mark | None:
    """Return a file's mark; None where its size tells already that it is another."""
    with disk_errors(Path(entry.path)):
        if entry.is_symlink():
            return link_mark(str(Path(entry.path).readlink()))
        if not entry.is_file() or entry.stat().st_size != listed[1]:
            return None
        crc = 0
        with Path(entry.path).open("rb") as stream:
            for piece in read_pieces(stream):
                crc = zlib.crc32(piece, crc)
        return crc, listed[1]


def _is_compiled(name: str) -> bool:
    return name.endswith(".pyc") and name.rpartition("/")[0].endswith("__pycache__")
