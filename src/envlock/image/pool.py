"""Who packs: worker processes, or a thread; with the compiled encoder where it is worth making."""

from __future__ import annotations

import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from envlock.layers.compiled import kept_encoder, use_encoder
from envlock.lock.model import PACKER
from envlock.workers import killed_workers, worker_pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from envlock.lock.model import Artifact

WORTH = 1024 * 1024
"""Bytes of packages to encode, in one command, from which on compiling the encoder saves time."""

ALONE = 64 * 1024 * 1024
"""Bytes of artifacts up to which a single layer is packed without a process of its own.

Packing so much takes a second, and starting a process a fifth of one; in between nothing can be
stopped but the whole command.
"""

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


class Encoding:
    """Adds up what the builds of one command have to encode."""

    def __init__(self) -> None:
        self._bytes = 0

    def encoder(self, amount: int) -> Path | None:
        """Return the compiled encoder once it is worth its making; amount: more bytes, or so."""
        self._bytes += amount
        return kept_encoder() if self._bytes >= WORTH else None


@contextlib.contextmanager
def packing_pool(
    workers: int,
    amount: int,
    jobs: int | None = None,
    size: int | None = None,
    encoding: Encoding | None = None,
) -> Iterator[Executor]:
    """Yield a pool of at most ``workers`` processes that pack; a thread for one small job.

    amount: bytes or so that are to be encoded; jobs: how many things there are to do at once, and
    size: of how many bytes of artifacts, if these are known; encoding: knows what the command had
    to encode before.  Raises DiskError for a worker that was killed.
    """
    library = (encoding or Encoding()).encoder(amount)
    if jobs == 1 and size is not None and size <= ALONE:
        if library is not None:
            use_encoder(library)
        with ThreadPoolExecutor(1) as thread:
            yield thread
        return
    prepare = functools.partial(use_encoder, library) if library else None
    most = workers if jobs is None else max(1, min(workers, jobs))
    with killed_workers(), worker_pool(most, prepare) as pool:
        yield pool
