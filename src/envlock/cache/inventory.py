"""What is in the cache: entries, their sizes, and when they were used.

Sizes are what the disk gives for them (as ``du`` counts).  A file with several names, as root
file systems share them with their layers, counts once.  No symbolic link is followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.cache.kinds import PLACES, WITHOUT_CONTENT, Place, is_left_over
from envlock.errors import DiskError
from envlock.image.places import image_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_BLOCK = 512  # bytes; what st_blocks counts, whatever the file system's own blocks are

Inode = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is used and removed as a whole.

    paths: of one folder; used: ns since the epoch; owner: a user's number; alone: bytes of files
    with one name; shared: bytes and names here of each file that has several; useless: why no run
    needs it, if that is known.
    """

    kind: str
    paths: tuple[Path, ...]
    used: int
    owner: int
    alone: int
    shared: dict[Inode, tuple[int, int]]
    useless: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All entries of a cache."""

    entries: tuple[Entry, ...]

    def size(self, kind: str | None = None) -> int:
        """Return the bytes of a kind of entries, or of all."""
        return size_of(entry for entry in self.entries if kind in {None, entry.kind})


def size_of(entries: Iterable[Entry]) -> int:
    """Return the bytes of entries together."""
    total, seen = 0, set()
    for entry in entries:
        total += entry.alone
        for inode, (size, _) in entry.shared.items():
            if inode not in seen:
                seen.add(inode)
                total += size
    return total


def take_inventory(cache: Path) -> Inventory:
    """Return what is in the cache; raises DiskError where it cannot be read."""
    try:
        return Inventory(entries=tuple(e for place in PLACES for e in _entries(cache, place)))
    except OSError as error:
        raise DiskError(f"the cache cannot be read: {error}", where=str(cache)) from None


def bytes_besides(cache: Path, inventory: Inventory) -> int:
    """Return the bytes of files in the cache's folder that no entry has, as far as it is read."""
    ours = {path for entry in inventory.entries for path in entry.paths}
    total, stack = 0, [cache]
    while stack:
        with contextlib.suppress(OSError):
            for item in _items(stack.pop()):
                path = Path(item.path)
                if path in ours or (path.parent == cache and item.name in WITHOUT_CONTENT):
                    continue
                if item.is_dir(follow_symlinks=False):
                    stack.append(path)
                else:
                    total += item.stat(follow_symlinks=False).st_blocks * _BLOCK
    return total


def last_used(paths: Iterable[Path], mark: str | None) -> int:
    """Return when an entry was used, in ns since the epoch; raises OSError."""
    return max(path.lstat().st_mtime_ns if mark is None else _mark(path, mark) for path in paths)


def _mark(folder: Path, mark: str) -> int:
    try:
        return (folder / mark).lstat().st_mtime_ns
    except FileNotFoundError:  # it was never whole
        return folder.lstat().st_mtime_ns


def _entries(cache: Path, place: Place) -> Iterator[Entry]:
    for folder in _folders(cache, place):
        groups = defaultdict(list)
        for item in _items(folder):
            name = item.name
            matched = place.name.fullmatch(name)
            if matched:
                groups[matched[1]].append(folder / name)
            elif is_left_over(place, name):
                yield from _entry(place, [folder / name], "left by a run that was killed")
        for paths in groups.values():
            yield from _entry(place, paths, _useless(place, paths))


def _folders(cache: Path, place: Place) -> list[Path]:
    """Return the folders of a place; one that is a symbolic link, or is below one, is none."""
    if not place.folder:
        return [cache]
    found = sorted(cache.glob(place.folder))
    return [folder for folder in found if _is_inside(cache, folder)]


def _is_inside(cache: Path, folder: Path) -> bool:
    within = [folder, *folder.parents]
    within = within[: within.index(cache)]
    return all(stat.S_ISDIR(one.lstat().st_mode) for one in within)


def _items(folder: Path) -> list[os.DirEntry[str]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        return sorted((item for item in found if not item.is_symlink()), key=lambda item: item.name)
    return []


def _useless(place: Place, paths: Sequence[Path]) -> str | None:
    if place.useless is not None and place.useless(paths[0].name):
        return "made for another version of envlock"
    if place.folder == "layouts" and image_of(paths[0]) is None:
        return "of an image that is no longer there"
    return None


def _entry(place: Place, paths: list[Path], useless: str | None) -> Iterator[Entry]:
    """Yield the entry, unless it has gone meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        alone, shared = _sizes(paths)
        yield Entry(
            kind=place.kind,
            paths=tuple(paths),
            used=last_used(paths, place.mark),
            owner=paths[0].lstat().st_uid,
            alone=alone,
            shared=shared,
            useless=useless,
        )


def _sizes(paths: Iterable[Path]) -> tuple[int, dict[Inode, tuple[int, int]]]:
    alone = 0
    shared: dict[Inode, tuple[int, int]] = {}
    for state in _states(paths):
        size = state.st_blocks * _BLOCK
        if state.st_nlink > 1 and stat.S_ISREG(state.st_mode):
            inode = (state.st_dev, state.st_ino)
            shared[inode] = (size, shared.get(inode, (0, 0))[1] + 1)
        else:
            alone += size
    return alone, shared


def _states(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    """Yield what the system knows of files, of folders, and of all in them."""
    stack = [os.fspath(path) for path in paths]
    while stack:
        place = stack.pop()
        with contextlib.suppress(FileNotFoundError):
            state = os.lstat(place)
            yield state
            if stat.S_ISDIR(state.st_mode):
                with os.scandir(place) as found:
                    stack.extend(item.path for item in found)
