"""The files of a lock's artifacts, for a build."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from envlock.errors import EnvlockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from envlock.cli.context import Context
    from envlock.image.build import Workshop
    from envlock.lock.model import Lock


def obtain(
    state: Context,
    lock: Lock,
    artifact_map: Path | None,
    workshop: Workshop,
    unneeded: frozenset[str] = frozenset(),
) -> dict[str, Path]:
    """Return the lock's files by sha256, from the map first, then store and network.

    These are its artifacts but those that are ``unneeded``, and the blobs of its base image.
    While the wheels come in, the Debian packages are packed: that is the slow part.
    """
    from envlock.cli.bases import pulled
    from envlock.image.mapping import read_artifact_map

    mapped = read_artifact_map(artifact_map) if artifact_map else {}
    paths = {a.sha256: mapped[a.sha256] for a in lock.artifacts if a.sha256 in mapped}
    paths |= pulled(state, lock, mapped)
    rest = [a for a in lock.artifacts if a.sha256 not in paths and a.sha256 not in unneeded]
    stored = {a.sha256: state.fetcher.store.get(a.sha256, a.size) for a in rest}
    paths |= {sha256: path for sha256, path in stored.items() if path is not None}
    missing = [artifact for artifact in rest if artifact.sha256 not in paths]
    here = [one for one in rest if one.kind == "pypi" and one.sha256 in paths]
    state.metadata.compare(here, paths)  # a solve brought them whose metadata came before
    if not missing:
        return paths
    locators = state.locators(lock, state.optional_spec(lock.name))
    debs = [artifact for artifact in missing if artifact.kind == "debian"]
    wheels = [artifact for artifact in missing if artifact.kind != "debian"]
    paths |= state.fetcher.all(debs, locators, state.output)
    with _meanwhile(state, lock, paths, workshop):
        paths |= state.fetcher.all(wheels, locators, state.output)
        state.metadata.compare((one for one in wheels if one.kind == "pypi"), paths)
    return paths


@contextmanager
def _meanwhile(
    state: Context, lock: Lock, paths: dict[str, Path], workshop: Workshop
) -> Iterator[None]:
    """Pack the Debian packages beside the body; what goes wrong comes up in the build again."""
    from envlock.image.build import pack_packages

    stop = threading.Event()

    def pack() -> None:
        with suppress(EnvlockError, KeyboardInterrupt):
            pack_packages(lock, dict(paths), workshop, state.output, stop)

    thread = threading.Thread(target=pack)
    thread.start()
    try:
        yield
        thread.join()
    except BaseException:  # Ctrl-C above all
        stop.set()
        thread.join()
        raise
