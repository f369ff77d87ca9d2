"""``envlock install --check``: whether a folder is what a lock says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from envlock.cli.solved import changed_packages
from envlock.errors import CheckFailedError
from envlock.sizes import counted

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.cli.context import Context
    from envlock.install.listing import Changes
    from envlock.install.prefix import Marker
    from envlock.lock.model import Lock

_SHOWN = 10


def check_installed(state: Context, lock: Lock, prefix: Path) -> None:
    """Tell whether an environment is a lock's, whole; exit with 1 where it is not.

    Raises UsageError for what is no environment, LockError, DiskError.
    """
    from envlock.install.listing import changes
    from envlock.install.prefix import read_marker

    marker = read_marker(prefix)
    found = changes(prefix)
    lines = [*_stale(lock, marker), *_python(marker, prefix), *_told(found)]
    if lines:
        state.output.problem(
            CheckFailedError(
                f"this is not what the lock of {lock.name} says",
                where=str(prefix),
                details=[f"  {line}" for line in lines],
                hint=f"envlock install {lock.name} --prefix {prefix} makes it so",
            )
        )
    else:
        state.output.message(f"{lock.name} {lock.platform}: {prefix} is what the lock says")
    state.output.document(
        {
            "name": lock.name,
            "platform": lock.platform,
            "prefix": str(prefix),
            "fresh": not lines,
            "reasons": lines,
            "missing": list(found.missing),
            "changed": list(found.changed),
            "added": list(found.added),
        }
    )
    if lines:
        raise typer.Exit(CheckFailedError.exit_code)


def _stale(lock: Lock, marker: Marker) -> list[str]:
    """Return what differs between the lock and the one that was installed."""
    from envlock.lock.codec import lock_digest

    old = marker.lock
    if lock_digest(old) == lock_digest(lock):
        return []
    if (old.name, old.platform) != (lock.name, lock.platform):
        return [f"it was installed from the lock of {old.name} for {old.platform}"]
    lines = changed_packages(old, lock)
    return lines or ["the lock is another one by now, with the same packages"]


def _python(marker: Marker, prefix: Path) -> list[str]:
    if marker.python is None or (prefix / "bin" / "python").exists():
        return []
    return [f"its Python is gone: {marker.python}"]


def _told(found: Changes) -> list[str]:
    lines = []
    for what, paths in (
        ("missing", found.missing),
        ("changed", found.changed),
        ("not of the lock", found.added),
    ):
        lines += [f"{what}: {path}" for path in paths[:_SHOWN]]
        if len(paths) > _SHOWN:
            lines.append(f"{what}: {counted(len(paths) - _SHOWN, 'more file')}")
    return lines
