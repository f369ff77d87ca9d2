"""Worker processes that pack, with the compiled encoder where that is worth its making."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from envlock.layers.compiled import kept_encoder, use_encoder
from envlock.lock.model import PACKER
from envlock.workers import killed_workers, worker_pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import ProcessPoolExecutor
    from pathlib import Path

    from envlock.lock.model import Artifact

WORTH = 1024 * 1024
"""Bytes of packages to encode from which on compiling the encoder saves time."""

_WHEELS = 64
"""One in so many bytes of wheels is encoded: the headers of their files, mostly."""


def to_encode(artifacts: Sequence[Artifact], segments: Path) -> int:
    """Return about how many bytes of packages the encoder will get; packed .debs are known."""
    total = 0
    for artifact in artifacts:
        if artifact.kind == "pypi":
            total += artifact.size // _WHEELS
        elif not (segments / f"{PACKER}-{artifact.sha256}.gz").exists():
            total += artifact.size
    return total


@contextlib.contextmanager
def packing_pool(
    workers: int, amount: int, jobs: int | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of at most ``workers`` processes that pack.

    amount: bytes or so that are to be encoded; jobs: how many things there are to do at once, if
    that is known.  Raises DiskError for a worker that was killed.
    """
    library = kept_encoder() if amount >= WORTH else None
    prepare = functools.partial(use_encoder, library) if library else None
    most = workers if jobs is None else max(1, min(workers, jobs))
    with killed_workers(), worker_pool(most, prepare) as pool:
        yield pool
