"""Bundles as where a build takes its lock and artifacts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.cli.context import Context
    from envlock.lock.model import Lock


def open_bundle(state: Context, path: Path, names: Sequence[str] | None) -> Lock:
    """Return the lock of a bundle whose artifacts are now in the store; raises EnvlockError.

    The project is the one around the folder, or what will be one; the network is not used.
    """
    from envlock.exchange.bundle import unpack
    from envlock.project import Project

    state.bundled = True
    lock = unpack(path, state.fetcher.store, state.output)
    if names and list(names) != [lock.name]:
        raise UsageError(
            f"the bundle is of {lock.name}, not of {', '.join(names)}", where=str(path)
        )
    try:
        _ = state.project
    except UsageError:
        if not state.folder.is_dir():
            raise
        state.project = Project(root=state.folder.resolve())
    return lock
