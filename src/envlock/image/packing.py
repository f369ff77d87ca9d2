"""The packing of several layers in worker processes."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

from envlock.files import disk_errors, sync
from envlock.image.pool import packing_pool, to_encode
from envlock.layers.condapack import (
    CondaItem,
    join_conda,
    pack_conda_layer,
    pack_conda_segment,
)
from envlock.layers.pack import pack_os, pack_segment, pack_wheels
from envlock.platforms import PLATFORMS
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from envlock.image.pool import Encoding
    from envlock.layers.condafacts import CondaFacts
    from envlock.layers.condapack import CondaSegment
    from envlock.layers.gzipstream import Known, StreamDigests
    from envlock.layers.pack import Segment
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Artifact, Lock
    from envlock.progress import Reporter, Task

    Joining = Callable[[], Future[StreamDigests]]

SEGMENTS = "segments"
"""Folder of packed .debs and conda packages in the cache."""


def conda_items(plan: LayerPlan) -> list[CondaItem]:
    """Return the conda packages of a layer, as they are to be installed."""
    if plan.kind != "conda":
        return []
    settings = dict(plan.settings)
    return [
        CondaItem(
            artifact=artifact, scheme=plan.scheme, without=settings.get(f"without {artifact.name}")
        )
        for artifact in plan.artifacts
    ]


class Packing:
    """Packs layers; ``facts`` has what was found out about their conda packages, by name.

    cache and fresh: packed packages are taken from the cache and kept there, or, with
    ``fresh``, made anew beside the blobs; encoding: adds up what there is to encode.
    """

    def __init__(
        self,
        lock: Lock,
        paths: Mapping[str, Path],
        blobs: Path,
        reporter: Reporter,
        *,
        cache: Path,
        workers: int,
        fresh: bool,
        encoding: Encoding,
    ) -> None:
        self.facts: dict[str, CondaFacts] = {}
        self._lock = lock
        self._paths = paths
        self._blobs = blobs
        self._reporter = reporter
        self._workers = workers
        self._encoding = encoding
        self._fresh = fresh
        self._known: Mapping[str, Known] = {}
        self._segments = blobs.parent / SEGMENTS if fresh else cache / SEGMENTS

    def run(
        self,
        plans: Sequence[LayerPlan],
        known: Mapping[str, Known],
        checked: Callable[[], object],
    ) -> dict[str, StreamDigests]:
        """Return the digests of each layer by its plan's key; known: what some will be.

        checked: waits for what must be right before layers are made.
        """
        self._known = known
        artifacts = [artifact for plan in plans for artifact in plan.artifacts]
        total = sum(artifact.size for artifact in artifacts)
        jobs = sum(
            1 if plan.kind in {"distribution", "rest"} else len(plan.artifacts) for plan in plans
        )
        with (
            self._reporter.task(f"packing {counted(len(plans), 'layer')}", total, "bytes") as task,
            packing_pool(
                self._workers,
                to_encode(artifacts, self._segments),
                jobs,
                total,
                self._encoding,
            ) as pool,
            ThreadPoolExecutor(1) as disk,
        ):
            try:
                digests, settling = {}, []
                for plan, layer in self._packed(pool, plans, task, checked):
                    digests[plan.key] = layer
                    settling.append(disk.submit(self._settle, layer))
                for settled in settling:
                    settled.result()
                return digests
            finally:
                if self._fresh:
                    shutil.rmtree(self._segments, ignore_errors=True)

    def _packed(
        self,
        pool: Executor,
        plans: Sequence[LayerPlan],
        task: Task,
        checked: Callable[[], object],
    ) -> Iterator[tuple[LayerPlan, StreamDigests]]:
        """Yield layers as they are made; the packages that are many, slow and small are first.

        Their layers are joined before the smaller wheels are begun: at the end there is
        something small for every process.
        """
        joinings: list[tuple[LayerPlan, Joining]]
        joinings = [(plan, self._os(pool, plan, task)) for plan in plans if plan.kind == "os"]
        largest_first = sorted(plans, key=lambda plan: -sum(a.size for a in plan.artifacts))
        single: dict[Future[tuple[StreamDigests, CondaFacts]], LayerPlan] = {}
        for plan in largest_first:
            if plan.kind == "conda" and len(plan.artifacts) == 1:
                (item,) = conda_items(plan)
                path = self._paths[item.artifact.sha256]
                packing = pool.submit(pack_conda_layer, item, path, self._blobs, self._segments)
                single[packing] = plan
            elif plan.kind == "conda":
                joinings.append((plan, self._conda(pool, plan, task)))
        checked()  # beside the compiler, the start of the processes and the first packages
        wheels = [plan for plan in largest_first if plan.kind in {"distribution", "rest"}]
        sizes = {plan.key: sum(a.size for a in plan.artifacts) for plan in wheels}
        joined = sum(a.size for plan, _ in joinings for a in plan.artifacts)
        futures: dict[Future[StreamDigests], LayerPlan] = {}
        futures |= {self._wheels(pool, p): p for p in wheels if sizes[p.key] >= joined}
        futures |= {join(): plan for plan, join in joinings}
        futures |= {self._wheels(pool, p): p for p in wheels if sizes[p.key] < joined}
        for finished in as_completed(futures):
            plan = futures[finished]
            yield plan, finished.result()
            task.advance(sizes.get(plan.key, 0))
        for done in as_completed(single):
            layer, facts = done.result()
            self.facts[facts.name] = facts
            yield single[done], layer
            task.advance(single[done].artifacts[0].size)

    def _settle(self, layer: StreamDigests) -> None:
        """Bring a layer to the disk while others are made."""
        with disk_errors(self._blobs):
            sync(self._blobs / layer.digest.removeprefix("sha256:"))

    def _wheels(self, pool: Executor, plan: LayerPlan) -> Future[StreamDigests]:
        mine = {a.sha256: self._paths[a.sha256] for a in plan.artifacts}
        return pool.submit(pack_wheels, plan, mine, self._blobs, self._known.get(plan.key))

    def _os(self, pool: Executor, plan: LayerPlan, task: Task) -> Joining:
        """Pack the .debs of a layer; what is returned waits for them and joins them."""
        packing = [
            (deb, pool.submit(pack_segment, deb, self._paths[deb.sha256], self._segments))
            for deb in _largest_first(plan.artifacts)
        ]
        multiarch = PLATFORMS[self._lock.platform].multiarch

        def join() -> Future[StreamDigests]:
            done: list[Segment] = []
            for deb, future in packing:
                done.append(future.result())
                task.advance(deb.size)
            done.sort(key=lambda segment: (segment.facts.package, segment.facts.architecture))
            known = self._known.get(plan.key)
            return pool.submit(pack_os, plan, done, self._blobs, multiarch=multiarch, known=known)

        return join

    def _conda(self, pool: Executor, plan: LayerPlan, task: Task) -> Joining:
        """Pack the conda packages of a layer; what is returned waits for them and joins them."""
        items = {item.artifact.sha256: item for item in conda_items(plan)}
        packing = [
            (
                artifact,
                pool.submit(
                    pack_conda_segment,
                    items[artifact.sha256],
                    self._paths[artifact.sha256],
                    self._segments,
                ),
            )
            for artifact in _largest_first(plan.artifacts)
        ]

        def join() -> Future[StreamDigests]:
            done: list[CondaSegment] = []
            for artifact, future in packing:
                done.append(future.result())
                task.advance(artifact.size)
            done.sort(key=lambda segment: segment.facts.name)
            self.facts |= {segment.facts.name: segment.facts for segment in done}
            return pool.submit(join_conda, done, self._blobs)

        return join


def _largest_first(artifacts: Sequence[Artifact]) -> list[Artifact]:
    return sorted(artifacts, key=lambda artifact: -artifact.size)
