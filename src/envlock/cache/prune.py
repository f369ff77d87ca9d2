"""What of the cache goes, and how it goes while other commands run.

Useless entries always go.  Of the others go those that were not used since a date, and then, as
long as all are larger than they may be, those that were used least recently.  What a running
command has used, or began to use while this one was at it, stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.cache.inventory import last_used
from envlock.cache.kinds import KINDS, PLACES
from envlock.errors import DiskError
from envlock.leases import nobody_marks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from envlock.cache.inventory import Entry, Inode, Inventory
    from envlock.leases import Holder

_INSTANT = 50_000_000
"""ns within which two marks may have the same date: a tick of the kernel's clock, and more."""

_MARKS = {place.folder: place.mark for place in PLACES if place.mark}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """An entry that goes, with the reason for people."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What goes; held: entries that would have gone and are in use."""

    doomed: tuple[Doomed, ...]
    held: tuple[Entry, ...]


def judge(
    inventory: Inventory,
    holders: Sequence[Holder],
    *,
    before: int | None = None,
    largest: int | None = None,
    kinds: Collection[str] = frozenset(KINDS),
) -> Verdict:
    """Return what of a cache goes.

    Called as soon as the holders are known: what was used at this very moment stays, since who
    begins now might mark it with the date that it has.

    before: entries go that were used before this time (ns since the epoch).
    largest: how many bytes may stay.
    kinds: of the others nothing goes.
    """
    present = time.time_ns() - _INSTANT
    sorting = _Sorting(_Books(inventory), holders, present)
    entries = [entry for entry in inventory.entries if entry.kind in kinds]
    entries.sort(key=lambda entry: (entry.used, entry.paths))
    left = []
    for entry in entries:
        if entry.useless:
            sorting.out(entry, entry.useless)
        elif before is not None and entry.used < before:
            sorting.out(entry, "not used for long")
        else:
            left.append(entry)
    for entry in left:
        if largest is not None and sorting.books.total > largest:
            sorting.out(entry, "used least recently")
    return Verdict(doomed=tuple(sorting.doomed), held=tuple(sorting.held))


@dataclass(slots=True)
class _Sorting:
    """What goes and what would go; present: from when on (ns since the epoch) nothing goes."""

    books: _Books
    holders: Sequence[Holder]
    present: int
    doomed: list[Doomed] = field(default_factory=list)
    held: list[Entry] = field(default_factory=list)

    def out(self, entry: Entry, reason: str) -> None:
        """Sort an entry out, unless it may be in use."""
        if is_held(entry, self.holders) or (entry.used >= self.present and not entry.useless):
            self.held.append(entry)
        else:
            self.books.remove(entry)
            self.doomed.append(Doomed(entry=entry, reason=reason))


def is_held(entry: Entry, holders: Sequence[Holder]) -> bool:
    """Tell whether a running command may be using an entry.

    One of another user cannot mark what is ours, so that nothing can be told of it.
    """
    return any(
        entry.used >= holder.since or holder.user not in {0, entry.owner} for holder in holders
    )


class _Books:
    """How many bytes are left as entries go; files with several names go with their last."""

    def __init__(self, inventory: Inventory) -> None:
        self.total = inventory.size()
        self._names: Counter[Inode] = Counter()
        for entry in inventory.entries:
            for inode, (_, names) in entry.shared.items():
                self._names[inode] += names

    def remove(self, entry: Entry) -> None:
        self.total -= entry.alone
        for inode, (size, names) in entry.shared.items():
            self._names[inode] -= names
            if not self._names[inode]:
                self.total -= size


def remove(doomed: Sequence[Doomed]) -> tuple[Doomed, ...]:
    """Remove entries that nobody has used meanwhile, and return what went.

    Each is renamed while nobody can mark it, so that whoever asks for it then finds nothing, and
    deleted afterwards.  Raises DiskError.
    """
    return tuple(one for one in doomed if _remove(one.entry))


def _remove(entry: Entry) -> bool:
    folder = entry.paths[0].parent
    trash = []
    try:
        with nobody_marks(folder):
            if _used_meanwhile(entry):
                return False
            for path in entry.paths:
                place = folder / f".trash-{path.name.lstrip('.')}-{os.getpid()}"
                with contextlib.suppress(FileNotFoundError):  # somebody else prunes as well
                    path.rename(place)
                    trash.append(place)
        for place in trash:
            _delete(place)
    except OSError as error:
        raise DiskError(
            f"the cache cannot be pruned: {error.strerror or error}",
            where=str(folder),
            hint="what is somebody else's, they or root can prune",
        ) from error
    return bool(trash)


def _used_meanwhile(entry: Entry) -> bool:
    mark = _MARKS.get(entry.paths[0].parent.name)
    there = [path for path in entry.paths if path.exists()]
    return bool(there) and last_used(there, mark) > entry.used


def _delete(place: Path) -> None:
    if not place.is_dir():
        place.unlink(missing_ok=True)
        return
    place.chmod(0o700)  # an image has folders that nobody may write to
    for folder, names, _ in os.walk(place):
        for name in names:
            if not os.path.islink(f"{folder}/{name}"):  # noqa: PTH114
                os.chmod(f"{folder}/{name}", 0o700)  # noqa: PTH101
    shutil.rmtree(place)
