"""From a lock and its artifacts to an image layout, layer by layer.

Standard library only: the same code runs inside the Nix sandbox.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, LockError
from envlock.files import write_atomically
from envlock.layers.gzipstream import StreamDigests
from envlock.layers.pack import (
    Segment,
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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from envlock.image.layout import ImageDigests, Staging
    from envlock.lock.model import Lock
    from envlock.progress import Reporter, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where layers are made: ``cache`` keeps packed .debs and layer digests between builds.

    workers: processes; fresh: make every layer anew instead of taking over known ones.
    """

    cache: Path
    workers: int
    fresh: bool = False


def default_workers() -> int:
    """Return how many processes this machine runs at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
        self._segments = workshop.cache / "segments"

    def run(self, plans: Sequence[LayerPlan]) -> dict[str, StreamDigests]:
        total = sum(artifact.size for plan in plans for artifact in plan.artifacts)
        context = multiprocessing.get_context("spawn")
        with (
            self._reporter.task(f"packing {len(plans)} layers", total, "bytes") as task,
            ProcessPoolExecutor(self._workshop.workers, mp_context=context) as pool,
        ):
            try:
                return self._packed(pool, plans, task)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _packed(
        self, pool: ProcessPoolExecutor, plans: Sequence[LayerPlan], task: Task
    ) -> dict[str, StreamDigests]:
        """Pack the packages of the OS first: they are many, slow and small."""
        futures: dict[Future[StreamDigests], LayerPlan] = {}
        os_plans = [plan for plan in plans if plan.kind == "os"]
        segments = {
            plan.key: [
                pool.submit(pack_segment, deb, self._paths[deb.sha256], self._segments)
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
            for future in segments[plan.key]:
                done.append(future.result())
                task.advance(done[-1].size)
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
    owners: dict[str, tuple[tuple[int, int], str]] = {}
    for wheel in lock.of_kind("pypi"):
        path = paths[wheel.sha256]
        with path.open("rb") as archive:
            for entry in installed_entries(path, archive, scheme, wheel):
                mark = fingerprint(entry)
                known, owner = owners.setdefault(entry.path, (mark, wheel.name))
                if known != mark:
                    raise ArtifactError(
                        f"{owner} and {wheel.name} both install /{entry.path}, and differently",
                        hint="one of the two must go: name it in pypi.exclude, or choose other "
                        "versions",
                    )


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
