"""The indexes of artifacts, however they are had with the fewest bytes.

In order: the verified index in the cache; the wheel in the store; the index that was made
of parts, kept apart; the parts of the remote wheel that hold code, or the whole of it where
that is hardly more (or the server knows no ranges), which then is verified and in the store.
Conda packages are fetched whole: their code lies in one compressed tar.
"""

from __future__ import annotations

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from envlock.audit.index.apart import ApartCache
from envlock.audit.index.cache import IndexCache, decode
from envlock.audit.index.conda import readable
from envlock.audit.index.module import SkippedError
from envlock.audit.index.parallel import index_all
from envlock.audit.index.remote import PartialWheel
from envlock.audit.packages import bare, fitted, has_code, key_of
from envlock.errors import FetchError
from envlock.fetch.artifacts import CancelledError
from envlock.fetch.http import NoRangesError
from envlock.files import disk_errors
from envlock.workers import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.index.remote import Span
    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter, Task

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_SMALL = 256 * 1024
"""Wheels up to this size in bytes are fetched whole without looking into them first."""

_WORTH = 0.75
"""Parts that make up more than this share of a wheel are fetched as the whole wheel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What it takes to look into wheels and conda packages.

    locate: returns the URLs of an artifact, best first; cache: the folder of the audit's
    caches, or None to keep nothing; jobs: how many downloads at once.
    """

    fetcher: Fetcher
    http: Http
    locate: Callable[[Artifact], Iterable[str]]
    cache: Path | None
    jobs: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was looked into.

    indexes: by the artifact's sha256; keys: what names each index's content in caches: the
    wheel's sha256, or for a conda package, and a wheel of which parts were read, a text of
    its own; unread: artifacts that could not be looked at without the network, as
    ``name version``; notes: on what is damaged; moved: bytes that came over the network.
    """

    indexes: Mapping[str, WheelIndex]
    keys: Mapping[str, str]
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    moved: int = 0

    @property
    def unverified(self) -> tuple[str, ...]:
        """The distributions of which only parts were read, by name."""
        return tuple(sorted(i.name for i in self.indexes.values() if not i.verified))


def indexes_of(artifacts: Sequence[Artifact], means: Means, reporter: Reporter) -> Looked:
    """Return the indexes of artifacts; raises FetchError, IntegrityError, DiskError.

    Without the network, what is in no cache is left out and named in ``unread``.
    """
    with _folder(means.cache) as folder:
        return _Look(means, reporter, folder).at(artifacts)


def unknown_of(artifacts: Sequence[Artifact], cache: Path | None) -> tuple[Artifact, ...]:
    """Return the artifacts that no cache has an index of: looking into them takes time."""
    if cache is None:
        return tuple(filter(has_code, artifacts))
    whole, apart = IndexCache(cache / "index"), ApartCache(cache / "index-of-parts")
    return tuple(
        a for a in artifacts if has_code(a) and not (whole.has(a.sha256) or apart.has(a.sha256))
    )


def known_keys(artifacts: Sequence[Artifact], means: Means) -> tuple[str, ...] | None:
    """Return what names the artifacts' indexes in caches, or None where one is not known yet.

    They are those of :func:`indexes_of`, without the work of reading indexes.
    """
    if means.cache is None:
        return None
    whole, apart = IndexCache(means.cache / "index"), ApartCache(means.cache / "index-of-parts")
    keys = []
    for artifact in artifacts:
        if not has_code(artifact) or whole.has(artifact.sha256):
            keys.append(key_of(artifact, artifact.sha256))
            continue
        key = apart.key(artifact.sha256)
        if key is None or means.fetcher.store.get(artifact.sha256, artifact.size) is not None:
            return None
        keys.append(key)
    return tuple(keys)


@contextmanager
def _folder(cache: Path | None) -> Iterator[Path]:
    """Yield a folder for files with holes; nothing of it stays."""
    if cache is not None:
        with disk_errors(cache):
            cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parts-", dir=cache, ignore_cleanup_errors=True) as one:
        yield Path(one)


@dataclass(slots=True)
class _Remote:
    """A wheel that is read in parts; spans: what is still to come."""

    artifact: Artifact
    part: PartialWheel
    spans: list[Span]

    @property
    def left(self) -> int:
        return sum(end - start for start, end in self.spans)


class _Look:
    """One look into many wheels."""

    def __init__(self, means: Means, reporter: Reporter, folder: Path) -> None:
        self._means = means
        self._reporter = reporter
        self._folder = folder
        self._whole = IndexCache(means.cache / "index" if means.cache else None)
        self._apart = ApartCache(means.cache / "index-of-parts" if means.cache else None)
        self._indexes: dict[str, WheelIndex] = {}
        self._keys: dict[str, str] = {}
        self._notes: list[str] = []
        self._files: dict[str, str] = {}
        self._moved = 0
        self._stop = threading.Event()

    def at(self, artifacts: Sequence[Artifact]) -> Looked:
        self._files = {artifact.sha256: artifact.file for artifact in artifacts}
        coded = [artifact for artifact in artifacts if has_code(artifact)]
        paths = self._from_caches(coded)
        missing = [a for a in coded if a.sha256 not in self._indexes and a.sha256 not in paths]
        unread: list[Artifact] = []
        if missing and self._means.http.offline:
            unread, missing = missing, []
        if missing:
            parts = self._plan(missing)
            paths |= self._fetch(missing, parts)
            partial = {remote.artifact.sha256: remote.part.path for remote in parts}
            self._index({k: path for k, path in partial.items() if k not in paths}, apart=True)
        with self._reporter.task(f"unpacking {len(paths)} packages") if paths else nullcontext():
            paths, notes = readable(paths, self._files, self._folder)
        self._notes += notes
        self._index(paths, apart=False)
        for artifact in artifacts:
            if not has_code(artifact):
                self._know(artifact.sha256, bare(artifact), "")
        found = [artifact for artifact in artifacts if artifact.sha256 in self._indexes]
        return Looked(
            indexes={a.sha256: fitted(self._indexes[a.sha256], a) for a in found},
            keys={a.sha256: key_of(a, self._keys[a.sha256]) for a in found},
            notes=tuple(self._notes),
            unread=tuple(f"{a.name} {a.version}" for a in unread),
            moved=self._moved,
        )

    def _from_caches(self, artifacts: Sequence[Artifact]) -> dict[str, Path]:
        """Take known indexes; return the local files of those that are to be made."""
        paths: dict[str, Path] = {}
        for artifact in artifacts:
            sha256 = artifact.sha256
            known = self._whole.get(sha256)
            if known is not None:
                self._know(sha256, known, sha256)
                continue
            stored = self._means.fetcher.store.get(sha256, artifact.size)
            if stored is not None:
                paths[sha256] = stored
                continue
            apart = self._apart.get(sha256)
            if apart is not None:
                self._know(sha256, *apart)
        return paths

    def _know(self, sha256: str, index: WheelIndex, key: str) -> None:
        self._indexes[sha256] = index
        self._keys[sha256] = key

    # what is remote

    def _plan(self, missing: Sequence[Artifact]) -> list[_Remote]:
        """Look into the directories of large wheels; return those that are read in parts."""
        large = [one for one in missing if one.size > _SMALL and one.kind == "pypi"]
        with self._reporter.task(f"looking into {len(large)} wheels", len(large)) as task:

            def one(artifact: Artifact) -> _Remote | None:
                remote = self._planned(artifact)
                task.advance(1)
                return remote

            found = self._each(one, large)
        return [remote for remote in found if remote is not None]

    def _planned(self, artifact: Artifact) -> _Remote | None:
        """Return how to read a wheel in parts, or None where the whole is to be fetched."""
        for url in self._means.locate(artifact):
            if self._stop.is_set():
                raise CancelledError("the downloads were stopped")
            if not url.startswith(("http://", "https://")):
                return None
            path = self._folder / artifact.sha256
            part = PartialWheel(url, self._means.http, path, size=artifact.size)
            remote: _Remote | None = None
            try:
                remote = _Remote(artifact, part, part.plan())
            except (NoRangesError, SkippedError):
                remote = None  # the whole file, once it is verified, will tell what it is
            except FetchError:
                remote = None  # perhaps elsewhere; what is wrong, the whole download tells
                continue
            finally:
                self._moved += part.moved
                if remote is None:
                    part.close()
            if remote is None or part.moved + remote.left > artifact.size * _WORTH:
                part.close()
                return None
            return remote
        return None

    def _fetch(self, missing: Sequence[Artifact], parts: Sequence[_Remote]) -> dict[str, Path]:
        """Fetch the parts, and wholes into the store; return the paths of the wholes."""
        remotes = {remote.artifact.sha256: remote for remote in parts}
        total = sum(remotes[a.sha256].left if a.sha256 in remotes else a.size for a in missing)
        paths: dict[str, Path] = {}
        label = f"reading the code of {len(missing)} packages"
        with self._reporter.task(label, total, "bytes") as task:

            def one(artifact: Artifact) -> None:
                remote = remotes.get(artifact.sha256)
                if remote is None or not self._fetch_parts(remote, task):
                    paths[artifact.sha256] = self._fetch_whole(artifact, task)

            self._each(one, sorted(missing, key=lambda artifact: -artifact.size))
        return paths

    def _fetch_parts(self, remote: _Remote, task: Task) -> bool:
        """Fetch a wheel's parts; tell whether the server played along."""

        def advance(amount: int) -> None:
            if self._stop.is_set():
                raise CancelledError("the downloads were stopped")
            task.advance(amount)

        before = remote.part.moved
        try:
            remote.part.fetch(remote.spans, advance)
        except NoRangesError:
            return False
        finally:
            self._moved += remote.part.moved - before
            remote.part.close()
        return True

    def _fetch_whole(self, artifact: Artifact, task: Task) -> Path:
        if self._stop.is_set():
            raise CancelledError("the downloads were stopped")
        path = self._means.fetcher.one(
            self._means.locate(artifact),
            name=artifact.file,
            sha256=artifact.sha256,
            size=artifact.size,
            task=task,
        )
        self._moved += artifact.size
        return path

    def _each(self, action: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """Run on several items at once; whoever presses Ctrl-C waits for no server."""
        pool = ThreadPoolExecutor(self._means.jobs)
        try:
            futures = [pool.submit(action, item) for item in items]
            results = [future.result() for future in futures]
        except BaseException as error:
            self._stop.set()
            pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
            raise
        pool.shutdown()
        return results

    # what is local by now

    def _index(self, paths: Mapping[str, Path], *, apart: bool) -> None:
        if not paths:
            return

        def done(sha256: str, data: bytes) -> None:
            if apart:
                self._know(sha256, *self._apart.put(sha256, data))
                return
            self._whole.put(sha256, data)
            self._apart.drop(sha256)
            self._know(sha256, decode(data), sha256)

        label = f"indexing the code of {len(paths)} packages"
        with self._reporter.task(label, None, "bytes") as task:
            jobs = max(1, min(8, usable_cpus()))
            notes = index_all(paths, done, known=self._whole.records, jobs=jobs, task=task)
        for note in notes:  # files on this machine bear their hashes as names
            name, colon, text = note.partition(":")
            self._notes.append(f"{self._files.get(name, name)}{colon}{text}")
