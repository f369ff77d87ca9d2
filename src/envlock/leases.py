"""What of the cache is in use, so that it can be pruned while other commands run.

Each command that works with a cache holds a lease: a locked file in ``leases/`` whose date is
when the command began.  Whatever a command finds in the cache it marks as used first, by its
date.  So everything that is older than the oldest lease is in nobody's hands, and a command that
begins later marks what it takes under a lock that the pruning respects.  Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.files import locked_file, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

FOLDER = "leases"
_PREFIX = "lease-"


class Lease:
    """A command's right to all that it uses from now on; given back when the process ends."""

    def __init__(self, path: Path | None = None, descriptor: int = -1) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, cache: Path) -> Self:
        """Return a lease on ``cache``.

        A cache that cannot be written cannot be pruned by the same user either: the lease is
        then an empty one.
        """
        folder = cache / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder, _PREFIX)
            descriptor, path = locked_file(folder, _PREFIX)
        except OSError:
            return cls()
        os.fchmod(descriptor, 0o644)  # whoever prunes wants to see whether it is locked
        return cls(path, descriptor)

    def give_back(self) -> None:
        """End the lease."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._path = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A command that runs: its user's number and when it began, in ns since the epoch."""

    user: int
    since: int


def holders(cache: Path) -> list[Holder]:
    """Return who holds leases on ``cache``; what killed commands left is removed."""
    found = []
    for path in sorted((cache / FOLDER).glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError), path.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                state = os.fstat(stream.fileno())
                found.append(Holder(user=state.st_uid, since=state.st_mtime_ns))
            else:
                path.unlink()
    return found


def used(path: Path, mark: Path | None = None) -> bool:
    """Mark ``path`` as used now, and tell whether it is there.

    mark: the file whose date says when a folder was used, if it is not the folder itself.
    """
    with _held(path.parent, fcntl.LOCK_SH):
        try:
            os.utime(path if mark is None else mark)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # another user's, or a cache that is only to be read
            return path.exists()
        return True


@contextlib.contextmanager
def nobody_marks(folder: Path) -> Iterator[None]:
    """Keep everybody from marking what lies in ``folder``, for the moment that a removal takes."""
    with _held(folder, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def _held(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on a folder, where there is one and its file system can lock folders."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
