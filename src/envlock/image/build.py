"""From a lock and its artifacts to an image layout, layer by layer.

Standard library only: the same code runs inside the Nix sandbox.
"""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import LockError
from envlock.files import write_atomically
from envlock.image.packing import SEGMENTS, Packing, conda_items
from envlock.image.places import remember_layout, take_over
from envlock.image.pool import packing_pool, to_encode
from envlock.layers.clashes import check_conda, check_wheels
from envlock.layers.condapack import known_facts
from envlock.layers.gzipstream import StreamDigests
from envlock.layers.pack import pack_segment
from envlock.layers.plan import plan_layers
from envlock.lock.model import PACKER

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.image.layout import ImageDigests, Staging
    from envlock.layers.condafacts import CondaFacts
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Lock
    from envlock.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where layers are made: ``cache`` keeps packed packages and layer digests between builds.

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
    owners = check_wheels(lock, paths)
    plans = plan_layers(lock)
    layers: dict[str, StreamDigests] = {}
    facts: dict[str, CondaFacts] = {}
    recalled = {} if workshop.fresh else {plan.key: _recall(workshop, plan) for plan in plans}
    known = {key: digests for key, digests in recalled.items() if digests is not None}
    for plan in plans:
        told = [known_facts(item, workshop.cache / SEGMENTS) for item in conda_items(plan)]
        if plan.key not in known or None in told:
            continue
        digests = known[plan.key]
        if staging.reuse(digests.digest, digests.size) or take_over(
            workshop.cache, digests.digest, digests.size, staging.blobs
        ):
            layers[plan.key] = digests
            facts |= {one.name: one for one in told if one is not None}
    missing = [plan for plan in plans if plan.key not in layers]
    if missing:
        packing = Packing(
            lock,
            paths,
            staging.blobs,
            reporter,
            cache=workshop.cache,
            workers=workshop.workers,
            fresh=workshop.fresh,
        )
        layers |= packing.run(missing, known)
        facts |= packing.facts
    packages = [facts[name] for name in sorted(facts)]
    check_conda(owners, packages)
    for plan in missing:
        _remember(workshop, plan, layers[plan.key])
    if staging.target.suffix != ".tar":
        remember_layout(workshop.cache, staging.target)
    _say_what_is_not_run(packages, reporter)
    described = [(plan.title, layers[plan.key]) for plan in plans]
    return staging.complete(lock, described, created, package_variables(packages))


def package_variables(packages: Sequence[CondaFacts]) -> dict[str, str]:
    """Return the variables that conda packages set in their environment, by name."""
    return {name: text for facts in packages for name, text in sorted(facts.env.items())}


def _say_what_is_not_run(packages: Sequence[CondaFacts], reporter: Reporter) -> None:
    for facts in packages:
        for script in facts.scripts:
            reporter.warn(f"{facts.name}: {script} is in the image, and envlock did not run it")
        for script in facts.activation:
            reporter.warn(
                f"{facts.name}: {script} is not run when a container starts, and does more than "
                "export variables; what the environment needs of it goes into image.env"
            )


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
        packing_pool(workshop.workers, to_encode(debs, folder)) as pool,
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
