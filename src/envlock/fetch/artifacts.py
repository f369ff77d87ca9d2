"""Every artifact of a lock as a verified local file."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import EnvlockError, FetchError, IntegrityError
from envlock.fetch.http import Http, NotFoundError
from envlock.sizes import counted
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from envlock.fetch.indexes import Locator
    from envlock.fetch.store import Download, Store
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter, Task


_ATTEMPTS = 5
"""How often a download goes on in one run after its connection broke."""


_SHOWN = 5
"""How many of the artifacts that are not here an error names."""


class CancelledError(FetchError):
    """Another download failed or the user stopped the command."""


class Fetcher:
    """Brings artifacts into the store; safe to use from several threads."""

    def __init__(self, store: Store, http: Http, *, jobs: int = 8) -> None:
        self.store = store
        self._http = http
        self._jobs = jobs

    def all(
        self,
        artifacts: Sequence[Artifact],
        locators: Mapping[str, Locator],
        reporter: Reporter,
    ) -> dict[str, Path]:
        """Return the local file of each artifact by sha256, fetching what is missing.

        Raises FetchError for the first that cannot be had; the others' partial downloads
        stay for the next run.
        """
        have = {a.sha256: self.store.get(a.sha256, a.size) for a in artifacts}
        missing = [a for a in artifacts if have[a.sha256] is None]
        paths = {sha256: path for sha256, path in have.items() if path is not None}
        if not missing:
            return paths
        label = f"fetching {counted(len(missing), 'artifact')}"
        pool = ThreadPoolExecutor(self._jobs)
        stop = threading.Event()  # of these alone: other environments' may come after them
        with reporter.task(label, sum(a.size for a in missing), "bytes") as task:
            largest_first = sorted(missing, key=lambda artifact: -artifact.size)
            futures = {
                pool.submit(
                    self._one_located, artifact, locators[artifact.kind], _Watch(task, stop)
                ): artifact
                for artifact in largest_first
            }
            try:
                for future in as_completed(futures):
                    paths[futures[future].sha256] = future.result()
            except BaseException as error:
                stop.set()
                if self._http.offline and isinstance(error, FetchError):
                    error.details = (*error.details, *self._absent(missing))
                # who presses Ctrl-C does not wait for threads that wait for a server
                patient = not isinstance(error, KeyboardInterrupt)
                pool.shutdown(wait=patient, cancel_futures=True)
                raise
        pool.shutdown()
        return paths

    def _absent(self, artifacts: Sequence[Artifact]) -> list[str]:
        """Return lines that name what the store lacks."""
        names = [one.file for one in artifacts if self.store.get(one.sha256, one.size) is None]
        more = [f"  and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        return [f"  not in the cache: {name}" for name in names[:_SHOWN]] + more

    def one(
        self, urls: Iterable[str], *, name: str, sha256: str, size: int, task: Task | None = None
    ) -> Path:
        """Return the verified local file of one artifact, trying ``urls`` in order.

        Raises FetchError, IntegrityError, DiskError.
        """
        return self._one(urls, name, sha256, size, _Watch(task))

    def _one(self, urls: Iterable[str], name: str, sha256: str, size: int, watch: _Watch) -> Path:
        found = self.store.get(sha256, size)
        if found is not None:
            return found
        with self.store.download(sha256, size) as download:
            found = download.finished()
            if found is not None:
                return found
            return self._first_that_works(download, urls, name, watch)

    def _one_located(self, artifact: Artifact, locator: Locator, watch: _Watch) -> Path:
        watch.go_on()
        urls = locator.urls(artifact)
        return self._one(urls, artifact.file, artifact.sha256, artifact.size, watch)

    def _first_that_works(
        self, download: Download, urls: Iterable[str], name: str, watch: _Watch
    ) -> Path:
        problems: list[EnvlockError] = []
        tried: list[str] = []
        for url in urls:
            tried.append(redact(url))
            try:
                return self._from(download, url, watch)
            except CancelledError:
                raise
            except FetchError as error:
                problems.append(error)
        raise _gone(name, tried, problems)

    def _from(self, download: Download, url: str, watch: _Watch) -> Path:
        """Download from one URL; what an earlier run left is tried once, then dropped."""
        resumed = download.offset > 0
        try:
            self._append_all(download, url, watch)
            return download.commit()
        except IntegrityError:
            if not resumed:
                raise
        download.restart()
        self._append_all(download, url, watch)
        return download.commit()

    def _append_all(self, download: Download, url: str, watch: _Watch) -> None:
        """Go on where the connection broke, as long as each attempt brings something."""
        for _ in range(_ATTEMPTS):
            before = download.offset
            try:
                return self._append(download, url, watch)
            except (CancelledError, IntegrityError):
                raise
            except FetchError:
                if download.offset <= before:
                    raise
        return self._append(download, url, watch)

    def _append(self, download: Download, url: str, watch: _Watch) -> None:
        offset = download.offset
        start, pieces = self._http.stream(url, offset)
        if offset and start == 0:
            download.restart()
        watch.advance(start - download.counted)
        download.counted = start
        with closing(pieces):
            download.append(_counted(download, pieces, watch))


@dataclass(frozen=True, slots=True)
class _Watch:
    """Who hears of a download's bytes, and what stops it; both may be missing."""

    task: Task | None = None
    stop: threading.Event | None = None

    def advance(self, amount: int) -> None:
        if self.task is not None:
            self.task.advance(amount)

    def go_on(self) -> None:
        """Raise CancelledError once another download of the same run has failed."""
        if self.stop is not None and self.stop.is_set():
            raise CancelledError("the downloads were stopped")


def _counted(download: Download, pieces: Iterator[bytes], watch: _Watch) -> Iterator[bytes]:
    for piece in pieces:
        watch.go_on()
        watch.advance(len(piece))
        download.counted += len(piece)
        yield piece


def _gone(name: str, tried: list[str], problems: list[EnvlockError]) -> FetchError:
    """Return the error for an artifact that no place gave."""
    details = [f"  {url}: {problem.message}" for url, problem in zip(tried, problems, strict=True)]
    for problem in problems:
        if isinstance(problem, IntegrityError):
            return IntegrityError(
                f"{name}: {problem.message}",
                details=(*problem.details, *details),
                hint=problem.hint,
            )
    if not tried:
        return FetchError(
            f"{name}: no index or mirror of this machine has it",
            hint="it was removed, or the configured index or mirror is not the one the lock "
            "was made with; see [indexes], [mirrors] and [snapshots] in the documentation",
        )
    if all(isinstance(problem, NotFoundError) for problem in problems):
        return FetchError(
            f"{name}: it is gone from every place that was tried",
            details=details,
            hint="the channel, or this mirror of it, no longer has it: name another place for the "
            "channel, or solve again"
            if name.endswith((".conda", ".tar.bz2"))
            else "mirrors forget old versions: name a snapshot archive ([snapshots] in "
            "config.toml, ENVLOCK_SNAPSHOT_DEBIAN) or solve again",
        )
    return FetchError(f"{name}: it could not be fetched", details=details, hint=problems[0].hint)
