"""Audits of wheels, of conda packages and of locks."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.audit.codec import audit_from_data, audit_to_data
from envlock.audit.index.cache import IndexCache, decode
from envlock.audit.index.conda import readable
from envlock.audit.index.model import FORMAT
from envlock.audit.index.parallel import index_all
from envlock.audit.model import Audit, Target
from envlock.audit.owners import owned
from envlock.audit.packages import bare, fitted, has_code, key_of
from envlock.audit.resolve.ahead import running_ahead
from envlock.audit.resolve.audit import trace
from envlock.audit.resolve.deep import deep
from envlock.audit.resolve.keeping import LAYOUT, Kept, prune
from envlock.audit.resolve.report import report
from envlock.audit.resolve.stubs import typeshed
from envlock.files import disk_errors, write_atomically
from envlock.leases import used
from envlock.platforms import PLATFORMS
from envlock.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from envlock.audit.index.model import WheelIndex
    from envlock.lock.model import Lock
    from envlock.progress import Reporter

RESOLVE = 40
"""Version of the rules; a change makes every cached audit be made anew."""


def target_of(python: str, platform: str) -> Target:
    """Return the target of a Python version and a platform's name."""
    return Target(python=python, machine=PLATFORMS[platform].machine)


def index_wheel(path: Path) -> WheelIndex:
    """Index one wheel or conda package; raises ArtifactError if it cannot be read."""
    from envlock.errors import ArtifactError

    found, notes = load_indexes({"": path}, jobs=1)
    if not found:
        raise ArtifactError(notes[0] if notes else f"{path.name} cannot be read")
    return found[0]


@contextmanager
def _no_collector() -> Iterator[None]:
    """Large trees without cycles: looking for garbage in them only costs time.

    As a decorator, so that the trees are gone before the collector looks again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def audit_wheels(
    paths: Sequence[Path],
    target: Target,
    *,
    cache: Path | None = None,
    jobs: int = 1,
    reporter: Reporter = SILENT,
) -> Audit:
    """Audit wheels and conda packages as one environment; a broken one is left out with a note.

    A file is what its name says: ``.conda`` or ``.tar.bz2``, or else a wheel.  jobs: how many
    processes read; with more than one a script needs its ``if __name__ == "__main__"``, as
    with ``multiprocessing``, which starts them anew.
    """
    keyed = {_digest(path): path for path in paths}
    return audit_files(keyed, target, cache=cache, jobs=jobs, reporter=reporter)


@_no_collector()
def audit_lock(
    lock: Lock,
    paths: Mapping[str, Path],
    *,
    cache: Path | None = None,
    jobs: int = 1,
    reporter: Reporter = SILENT,
) -> Audit:
    """Audit the Python artifacts of a lock; ``paths`` are local files by sha256.

    Of conda packages only those that may hold Python code need a file.  jobs: as of
    :func:`audit_wheels`.
    """
    artifacts = (*lock.of_kind("conda"), *lock.of_kind("pypi"))
    target = target_of(lock.python, lock.platform)
    known = _known(cache, [key_of(one, one.sha256) for one in artifacts], target)
    found = _read_audit(known)
    if found is not None:
        return found
    files = {one.sha256: paths[one.sha256] for one in artifacts if has_code(one)}
    names = {one.sha256: one.file for one in artifacts}
    made, notes = _loaded(files, names, cache, jobs, reporter)
    indexes = [bare(one) for one in artifacts if not has_code(one)]
    indexes += [fitted(made[one.sha256], one) for one in artifacts if one.sha256 in made]
    audit = audit_indexes(indexes, target, notes=notes, cache=cache, jobs=jobs)
    _write_audit(known, audit)
    return audit


@_no_collector()
def audit_files(
    paths: Mapping[str, Path],
    target: Target,
    *,
    cache: Path | None = None,
    jobs: int = 1,
    reporter: Reporter = SILENT,
) -> Audit:
    """Audit files by sha256; an audit of the same files and target is taken from ``cache``."""
    known = _known(cache, paths, target)
    found = _read_audit(known)
    if found is not None:
        return found
    indexes, notes = load_indexes(paths, cache=cache, jobs=jobs, reporter=reporter)
    audit = audit_indexes(indexes, target, notes=notes, cache=cache, jobs=jobs)
    if not audit.unverified:
        _write_audit(known, audit)
    return audit


def load_indexes(
    paths: Mapping[str, Path],
    *,
    cache: Path | None = None,
    jobs: int = 1,
    reporter: Reporter = SILENT,
) -> tuple[list[WheelIndex], list[str]]:
    """Return the indexes of files by sha256, and notes on the files that are broken."""
    found, notes = _loaded(paths, {}, cache, jobs, reporter)
    return [found[key] for key in paths if key in found], notes


def _loaded(
    paths: Mapping[str, Path],
    names: Mapping[str, str],
    cache: Path | None,
    jobs: int,
    reporter: Reporter,
) -> tuple[dict[str, WheelIndex], list[str]]:
    """Return indexes by key; ``names``: of files whose paths do not have them."""
    store = IndexCache(cache / "index" if cache is not None else None)
    indexes: dict[str, WheelIndex] = {}
    fresh: dict[str, bytes] = {}
    for key in paths:
        found = store.get(key)
        if found is not None:
            indexes[key] = found

    def done(key: str, data: bytes) -> None:
        store.put(key, data)
        fresh[key] = data

    missing = {key: path for key, path in paths.items() if key not in indexes}
    notes: list[str] = []
    if missing:
        with (
            tempfile.TemporaryDirectory(prefix="packages-", dir=_made(cache)) as folder,
            reporter.task("reading the code of packages", None, "bytes") as task,
        ):
            files, notes = readable(missing, names, Path(folder))
            notes += index_all(files, done, known=store.records, jobs=jobs, task=task)
    for key in list(fresh):
        indexes[key] = decode(fresh.pop(key))
    return indexes, notes


def _made(folder: Path | None) -> Path | None:
    if folder is not None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    return folder


def audit_indexes(
    indexes: Iterable[WheelIndex],
    target: Target,
    *,
    notes: Sequence[str] = (),
    cache: Path | None = None,
    jobs: int = 1,
) -> Audit:
    """Audit indexes as one environment, in which each distribution has one owner.

    jobs: with more than one, and a cache, a second process may help; see :func:`audit_wheels`.
    """
    ordered = owned(indexes)
    kept = _kept(cache, ordered, target)

    with running_ahead(ordered, target, cache, kept, jobs) as ahead:

        def work() -> Audit:
            found = trace(ordered, target, cache, kept, ahead)
            made = report(found)
            found.release()
            if kept is not None:
                kept.keep()
            return made

        made = deep(work)
    return dataclasses.replace(made, notes=(*notes, *made.notes))


def audit_known(keys: Iterable[str], target: Target, cache: Path | None) -> Audit | None:
    """Return the audit that :func:`audit_keyed` kept for indexes of these keys, or None."""
    return _read_audit(_known(cache, keys, target))


def audit_keyed(
    indexes: Mapping[str, WheelIndex],
    target: Target,
    *,
    cache: Path | None = None,
    notes: Sequence[str] = (),
    jobs: int = 1,
) -> Audit:
    """Audit indexes by the keys of their content; such an audit is taken from ``cache``.

    jobs: as of :func:`audit_indexes`.
    """
    known = _known(cache, indexes, target)
    found = _read_audit(known)
    if found is None:
        with _no_collector():
            found = audit_indexes(indexes.values(), target, cache=cache, jobs=jobs)
        _write_audit(known, found)
    return dataclasses.replace(found, notes=(*notes, *found.notes))


def _read_audit(known: Path | None) -> Audit | None:
    if known is None or not used(known):
        return None
    try:
        return audit_from_data(json.loads(zlib.decompress(known.read_bytes())))
    except (OSError, ValueError, KeyError, TypeError, zlib.error):
        return None


def _write_audit(known: Path | None, audit: Audit) -> None:
    if known is not None:
        text = json.dumps(audit_to_data(audit), separators=(",", ":"))
        write_atomically(known, zlib.compress(text.encode("utf-8", "surrogatepass"), 6))
        prune(known.parent)


def _known(cache: Path | None, paths: Iterable[str], target: Target) -> Path | None:
    if cache is None:
        return None
    key = [RESOLVE, FORMAT, dataclasses.asdict(target), sorted(paths)]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return cache / "audit" / f"{digest}.audit"


def _kept(cache: Path | None, indexes: Sequence[WheelIndex], target: Target) -> Kept | None:
    """Return where parts of runs are kept; what is in the name is the same for all of them."""
    if cache is None:
        return None
    aliases = sorted(
        prefix
        for index in indexes
        for entry in index.modules.values()
        for prefix in entry.get("aliases", ())
    )
    inside = sorted(
        name
        for index in indexes
        for name in (index.modules if aliases else ())
        if name.startswith(tuple(f"{prefix}." for prefix in aliases))
    )
    world = [LAYOUT, RESOLVE, FORMAT, dataclasses.asdict(target), typeshed(), aliases, inside]
    return Kept(cache / "traces", json.dumps(world, sort_keys=True))


def _digest(path: Path) -> str:
    with disk_errors(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
