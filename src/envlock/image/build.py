"""From a lock and its artifacts to an image layout, layer by layer.

Standard library only: the same code runs inside the Nix sandbox.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from concurrent.futures import FIRST_COMPLETED, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, DiskError, LockError
from envlock.files import disk_errors, verify_file, write_atomically
from envlock.layers.gzipstream import StreamDigests
from envlock.layers.pack import (
    Segment,
    environment_entries,
    fingerprint,
    installed_entries,
    pack_os,
    pack_segment,
    pack_wheels,
)
from envlock.layers.plan import PREFIX, LayerPlan, plan_layers
from envlock.layers.wheel import Scheme
from envlock.lock.model import PACKER
from envlock.platforms import PLATFORMS
from envlock.workers import worker_pool

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future, ProcessPoolExecutor
    from pathlib import Path

    from envlock.image.layout import ImageDigests, Staging
    from envlock.lock.model import Artifact, Lock
    from envlock.progress import Reporter, Task


SEGMENTS = "segments"
"""Folder of packed .debs in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where layers are made: ``cache`` keeps packed .debs and layer digests between builds.

    workers: processes; fresh: make every layer anew instead of taking over known ones.
    """

    cache: Path
    workers: int
    fresh: bool = False


def build_image(
    lock: Lock,
    paths: Mapping[str, Path],
    staging: Staging,
    workshop: Workshop,
    reporter: Reporter,
    *,
    created: int = 0,
) -> ImageDigests:
    """Fill ``staging`` with the image of ``lock``; ``paths`` are its artifacts by sha256.

    Raises LockError for a lock of another packer, ArtifactError, IntegrityError, DiskError.
    """
    if lock.packer != PACKER:
        raise LockError(
            f"this lock is for packer {lock.packer}; this envlock packs by {PACKER} and would "
            "make another image",
            hint=f"solve again, or build with an envlock that packs by {lock.packer}",
        )
    _check_clashes(lock, paths)
    plans = plan_layers(lock)
    layers: dict[str, StreamDigests] = {}
    for plan in plans:
        known = None if workshop.fresh else _recall(workshop, plan)
        if known is not None and staging.reuse(known.digest, known.size):
            layers[plan.key] = known
    missing = [plan for plan in plans if plan.key not in layers]
    if missing:
        layers |= _Packing(lock, paths, staging.blobs, workshop, reporter).run(missing)
    for plan in missing:
        _remember(workshop, plan, layers[plan.key])
    return staging.complete(lock, [(plan.title, layers[plan.key]) for plan in plans], created)


def pack_packages(
    lock: Lock,
    paths: Mapping[str, Path],
    workshop: Workshop,
    reporter: Reporter,
    stop: threading.Event | None = None,
) -> None:
    """Pack the lock's .debs into the cache, so that a later build finds them there.

    This is the one slow part of a build; it can run while larger artifacts are fetched, and
    ends early once ``stop`` is set.  Raises IntegrityError, ArtifactError, DiskError.
    """
    debs = sorted(lock.of_kind("debian"), key=lambda deb: -deb.size)
    folder = workshop.cache / SEGMENTS
    with (
        reporter.task("packing Debian packages", sum(deb.size for deb in debs), "bytes") as task,
        worker_pool(workshop.workers) as pool,
        _killed_workers(),
    ):
        futures = {pool.submit(pack_segment, d, paths[d.sha256], folder): d for d in debs}
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            for future in done:
                future.result()
                task.advance(futures[future].size)


@contextlib.contextmanager
def _killed_workers() -> Iterator[None]:
    """Turn the sudden end of a worker process into an error that says so."""
    try:
        yield
    except BrokenProcessPool as error:
        raise DiskError(
            "a process that packs layers was killed, perhaps for want of memory",
            hint="the system's log may say why; run the command again",
        ) from error


class _Packing:
    """Runs the packing of several layers in worker processes."""

    def __init__(
        self,
        lock: Lock,
        paths: Mapping[str, Path],
        blobs: Path,
        workshop: Workshop,
        reporter: Reporter,
    ) -> None:
        self._lock = lock
        self._paths = paths
        self._blobs = blobs
        self._workshop = workshop
        self._reporter = reporter
        self._segments = blobs.parent / SEGMENTS if workshop.fresh else workshop.cache / SEGMENTS

    def run(self, plans: Sequence[LayerPlan]) -> dict[str, StreamDigests]:
        total = sum(artifact.size for plan in plans for artifact in plan.artifacts)
        with (
            self._reporter.task(f"packing {len(plans)} layers", total, "bytes") as task,
            worker_pool(self._workshop.workers) as pool,
            _killed_workers(),
        ):
            try:
                return self._packed(pool, plans, task)
            finally:
                if self._workshop.fresh:
                    shutil.rmtree(self._segments, ignore_errors=True)

    def _packed(
        self, pool: ProcessPoolExecutor, plans: Sequence[LayerPlan], task: Task
    ) -> dict[str, StreamDigests]:
        """Pack the packages of the OS first: they are many, slow and small."""
        futures: dict[Future[StreamDigests], LayerPlan] = {}
        os_plans = [plan for plan in plans if plan.kind == "os"]
        segments = {
            plan.key: [
                (deb, pool.submit(pack_segment, deb, self._paths[deb.sha256], self._segments))
                for deb in sorted(plan.artifacts, key=lambda deb: -deb.size)
            ]
            for plan in os_plans
        }
        others = [plan for plan in plans if plan.kind != "os"]
        for plan in sorted(others, key=lambda plan: -sum(a.size for a in plan.artifacts)):
            mine = {a.sha256: self._paths[a.sha256] for a in plan.artifacts}
            futures[pool.submit(pack_wheels, plan, mine, self._blobs)] = plan
        multiarch = PLATFORMS[self._lock.platform].multiarch
        for plan in os_plans:
            done: list[Segment] = []
            for deb, future in segments[plan.key]:
                done.append(future.result())
                task.advance(deb.size)
            done.sort(key=lambda segment: (segment.facts.package, segment.facts.architecture))
            packing = pool.submit(pack_os, plan, done, self._blobs, multiarch=multiarch)
            futures[packing] = plan
        digests = {}
        for finished in as_completed(futures):
            plan = futures[finished]
            digests[plan.key] = finished.result()
            task.advance(sum(a.size for a in plan.artifacts) if plan.kind != "os" else 0)
        return digests


def _check_clashes(lock: Lock, paths: Mapping[str, Path]) -> None:
    """Raise ArtifactError if two wheels install different files at one path."""
    scheme = Scheme(prefix=PREFIX, python=lock.python)
    owners: dict[str, tuple[tuple[int, int], str]] = {
        entry.path: (fingerprint(entry), _ITSELF)
        for entry in environment_entries(plan_layers(lock)[-1])
        if entry.kind != "dir"
    }
    for wheel in lock.of_kind("pypi"):
        for file, mark in _marks(wheel, paths[wheel.sha256], scheme):
            known, owner = owners.setdefault(file, (mark, wheel.name))
            if known != mark:
                raise _same_path(owner, wheel.name, file)
    for path, (_, name) in owners.items():
        for parent in _parents(path):
            if parent in owners:
                raise _below(owners[parent][1], parent, name, path)


_ITSELF = "the environment itself"
_GO = "one of the two must go: name it in pypi.exclude, or choose other versions"


def _same_path(owner: str, other: str, file: str) -> ArtifactError:
    if owner == _ITSELF:
        return ArtifactError(f"{other} installs /{file}, a file of {_ITSELF}", hint=_leave(other))
    return ArtifactError(f"{owner} and {other} both install /{file}, and differently", hint=_GO)


def _below(owner: str, parent: str, other: str, path: str) -> ArtifactError:
    """Return the error for a file of ``other`` at ``path`` below ``owner``'s file ``parent``."""
    if owner == other:
        return ArtifactError(
            f"the wheel of {owner} is malformed: it installs /{parent} as a file, and /{path} "
            "below it",
            hint=_leave(owner),
        )
    if owner == _ITSELF:
        message = f"{other} installs /{path}, but /{parent} is no folder in {_ITSELF}"
        return ArtifactError(message, hint=_leave(other))
    if other == _ITSELF:
        message = f"{owner} installs the file /{parent}, which is a folder of {_ITSELF} (/{path})"
        return ArtifactError(message, hint=_leave(owner))
    return ArtifactError(
        f"{owner} installs the file /{parent}, and {other} the file /{path} below it", hint=_GO
    )


def _leave(name: str) -> str:
    return f"choose another version of {name}, or name it in pypi.exclude"


def _marks(wheel: Artifact, path: Path, scheme: Scheme) -> list[tuple[str, tuple[int, int]]]:
    """Return the path and the fingerprint of each file that a wheel installs."""
    with disk_errors(path), path.open("rb") as archive:
        try:
            entries = installed_entries(path, archive, scheme, wheel)
            return [(entry.path, fingerprint(entry)) for entry in entries]
        except ArtifactError:
            verify_file(path, wheel.sha256, wheel.size)  # damage explains more than its effect
            raise


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _record_path(workshop: Workshop, plan: LayerPlan) -> Path:
    return workshop.cache / "layers" / f"{plan.key}.json"


def _recall(workshop: Workshop, plan: LayerPlan) -> StreamDigests | None:
    """Return the digests that an earlier build found for a layer of the very same inputs."""
    try:
        return StreamDigests(**json.loads(_record_path(workshop, plan).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _remember(workshop: Workshop, plan: LayerPlan, digests: StreamDigests) -> None:
    text = json.dumps(dataclasses.asdict(digests), sort_keys=True)
    write_atomically(_record_path(workshop, plan), text.encode())
