"""Blobs of a registry as verified files of the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import TYPE_CHECKING

from envlock.errors import IntegrityError
from envlock.registry.errors import MissingError, RegistryError, TransientError
from envlock.registry.transport import ATTEMPTS, delay
from envlock.sizes import counted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from envlock.fetch.store import Download, Store
    from envlock.progress import Reporter, Task
    from envlock.registry.protocol import Descriptor, Pieces, Repository

JOBS = 4
"""How many blobs are under way at once."""


def pull_blobs(
    blobs: Sequence[Descriptor],
    repository: Repository,
    store: Store,
    *,
    reporter: Reporter,
    stop: threading.Event,
    pause: Callable[[float], None],
) -> dict[str, Path]:
    """Return the verified local file of each blob by digest, fetching what the store lacks.

    Raises MissingError, RegistryError, IntegrityError, DiskError; what came of a blob so far
    stays for the next run.
    """
    have = {blob.digest: store.get(_hex(blob), blob.size) for blob in blobs}
    paths = {digest: path for digest, path in have.items() if path is not None}
    missing = {blob.digest: blob for blob in blobs if blob.digest not in paths}
    if not missing:
        return paths
    total = sum(blob.size for blob in missing.values())
    with reporter.task(f"pulling {counted(len(missing), 'blob')}", total, "bytes") as task:
        puller = _Puller(repository, store, task, stop, pause)
        pool = ThreadPoolExecutor(JOBS)
        largest_first = sorted(missing.values(), key=lambda blob: -blob.size)
        futures = {pool.submit(puller.pull, blob): blob.digest for blob in largest_first}
        try:
            for future in as_completed(futures):
                paths[futures[future]] = future.result()
        except BaseException as error:
            stop.set()
            pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
            raise
        pool.shutdown()
    return paths


class _Puller:
    def __init__(
        self,
        repository: Repository,
        store: Store,
        task: Task,
        stop: threading.Event,
        pause: Callable[[float], None],
    ) -> None:
        self._repository = repository
        self._store = store
        self._task = task
        self._stop = stop
        self._pause = pause

    def pull(self, blob: Descriptor) -> Path:
        """Bring one blob into the store; goes on where the connection broke."""
        with self._store.download(_hex(blob), blob.size) as download:
            found = download.finished()
            if found is not None:
                self._task.advance(blob.size)
                return found
            left_over = download.offset > 0
            try:
                return self._whole(download, blob)
            except IntegrityError:
                if not left_over:  # else what an earlier run left may be to blame
                    raise
                return self._whole(download, blob)

    def _whole(self, download: Download, blob: Descriptor) -> Path:
        failures, best = 0, download.offset
        while True:
            try:
                self._append(download, blob)
                return download.commit()
            except MissingError as error:
                raise MissingError(
                    f"the registry does not have {blob.digest}",
                    where=self._repository.name,
                    details=error.details,
                ) from None
            except TransientError as error:
                failures = 1 if download.offset > best else failures + 1
                best = max(best, download.offset)
                if failures >= ATTEMPTS:
                    raise
                self._pause(delay(failures, error.wait))

    def _append(self, download: Download, blob: Descriptor) -> None:
        offset = download.offset
        if offset == blob.size:
            return
        start, pieces = self._repository.blob(blob.digest, offset)
        if offset and start == 0:
            download.restart()
        self._task.advance(start - download.counted)
        download.counted = start
        with closing(self._counted(pieces, download)) as counted:
            download.append(counted)
        if download.offset < blob.size:  # the connection was closed as if all had come
            raise TransientError(
                f"{blob.size - download.offset} bytes did not come", where=self._repository.name
            )

    def _counted(self, pieces: Pieces, download: Download) -> Pieces:
        with closing(pieces):
            for piece in pieces:
                if self._stop.is_set():
                    raise RegistryError("stopped")
                self._task.advance(len(piece))
                download.counted += len(piece)
                yield piece


def _hex(blob: Descriptor) -> str:
    return blob.digest.removeprefix("sha256:")
