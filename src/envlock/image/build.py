"""From a lock and its artifacts to an image layout, layer by layer.

Standard library only: the same code runs inside the Nix sandbox.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.errors import LockError
from envlock.image.absent import (
    check_config,
    check_recorded,
    is_recorded,
    read_recorded,
    require,
)
from envlock.image.base import bring_layers, read_foundation
from envlock.image.known import is_sound, known_layers, remember_layer, remember_sound
from envlock.image.linked import known_linked, pack_linked
from envlock.image.packing import SEGMENTS, Packing, conda_items
from envlock.image.places import remember_layout, taken_over
from envlock.image.pool import Encoding, packing_pool, to_encode
from envlock.layers.clashes import Owners, check_conda, check_wheels, check_written
from envlock.layers.condapack import known_facts
from envlock.layers.gzipstream import Known
from envlock.layers.pack import pack_segment
from envlock.layers.parts import check_sizes, limit_of
from envlock.layers.plan import plan_layers
from envlock.layers.split import refuse_large_files
from envlock.lock.linking import undone
from envlock.lock.model import PACKER
from envlock.workers import started

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from envlock.image.layout import ImageDigests, Staging
    from envlock.image.linked import Linker
    from envlock.layers.condafacts import CondaFacts
    from envlock.layers.gzipstream import StreamDigests
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Lock
    from envlock.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where layers are made: ``cache`` keeps packed packages and layer digests between builds.

    workers: processes; fresh: make every layer anew instead of taking over known ones; layers:
    verified files of layers that are here already, by digest; told: what layers are by the word
    of who gave these, by their plans' keys; config: the configuration that the lock records, for
    a build of conda packages that are not here; encoding: adds up what the builds of one command
    have to encode.
    """

    cache: Path
    workers: int
    fresh: bool = False
    layers: Mapping[str, Path] = field(default_factory=dict)
    told: Mapping[str, StreamDigests] = field(default_factory=dict)
    config: bytes | None = None
    encoding: Encoding = field(default_factory=Encoding)


def build_image(
    lock: Lock,
    paths: Mapping[str, Path],
    staging: Staging,
    workshop: Workshop,
    reporter: Reporter,
    *,
    created: int = 0,
    link: Linker | None = None,
) -> ImageDigests:
    """Fill ``staging`` with the image of ``lock``.

    ``paths`` are its artifacts, and the blobs of its base image, by sha256.

    link: runs post-link scripts, where the lock's spec wants some to be run.  Raises LockError
    for a lock of another packer, ArtifactError, IntegrityError, DiskError.
    """
    _require_packer(lock)
    foundation = read_foundation(lock.base, paths)
    plans = plan_layers(lock)
    known = _known(lock, plans, workshop)
    recorded = is_recorded(lock, paths, plans, known, workshop.config)
    sound = recorded or _is_sound(lock, plans, workshop)
    owners = started(Owners) if sound else started(check_wheels, lock, paths)
    layers = _Layers(lock, paths, staging, workshop, known)
    layers.take_over(plans, recorded=recorded)
    bring_layers(lock.base, paths, staging, workshop.cache)
    missing = [plan for plan in plans if plan.key not in layers.made]
    if missing:
        require(missing, paths, recorded=recorded)
        refuse_large_files(missing, paths, limit_of(lock))
    layers.pack([plan for plan in missing if plan.kind != "linked"], owners.result, reporter)
    if recorded:
        check_recorded(lock, plans, layers.made)
    elif not sound:
        check_conda(owners.result(), lock, layers.packages())
        layers.link([plan for plan in missing if plan.kind == "linked"], owners.result(), link)
        remember_sound(workshop.cache, lock)
    layers.remember(plans, missing)
    packages = layers.packages()
    _say_what_is_not_run(lock, packages, reporter)
    described = [(plan.title, layers.made[plan.key]) for plan in plans]
    check_sizes([(title, digests.size) for title, digests in described], limit_of(lock))
    variables = package_variables(packages)
    if recorded and workshop.config is not None:
        found = read_recorded(lock, workshop.config)
        check_config(lock, described, found, foundation)
        variables = dict(found.variables)
    return staging.complete(lock, described, created, variables, foundation)


def _require_packer(lock: Lock) -> None:
    if lock.packer != PACKER:
        raise LockError(
            f"this lock is for packer {lock.packer}; this envlock packs by {PACKER} and would "
            "make another image",
            hint=f"solve again, or build with an envlock that packs by {lock.packer}",
        )


def _known(lock: Lock, plans: Sequence[LayerPlan], workshop: Workshop) -> dict[str, Known]:
    """Return what layers will be, by their plans' keys: as seen here, else as told."""
    known = {} if workshop.fresh else known_layers(workshop.cache, lock, plans)
    for key, digests in workshop.told.items():
        known.setdefault(key, Known(digests=digests, seen_here=False))
    return known


def _is_sound(lock: Lock, plans: Sequence[LayerPlan], workshop: Workshop) -> bool:
    """Tell whether an earlier build looked at the artifacts for paths that two of them have.

    What post-link scripts write is held against them each time that these run.
    """
    scripts = any(plan.kind == "linked" for plan in plans)
    return not workshop.fresh and not scripts and is_sound(workshop.cache, lock)


@dataclass(frozen=True, slots=True)
class _Layers:
    """The layers of one image as they come to be; all is by the keys of their plans.

    known: what they will be; made: what they are; facts: what was found out about conda packages,
    by their names; written: the same of what post-link scripts left.
    """

    lock: Lock
    paths: Mapping[str, Path]
    staging: Staging
    workshop: Workshop
    known: Mapping[str, Known]
    made: dict[str, StreamDigests] = field(default_factory=dict)
    facts: dict[str, CondaFacts] = field(default_factory=dict)
    written: list[CondaFacts] = field(default_factory=list)

    def packages(self) -> list[CondaFacts]:
        """Return the facts of all packages by name, and then what scripts left."""
        return [*(self.facts[name] for name in sorted(self.facts)), *self.written]

    def take_over(self, plans: Sequence[LayerPlan], *, recorded: bool) -> None:
        """Take the layers that are there already, of whose packages all is known.

        recorded: what these packages tell need not be known, as the image has to be the
        recorded one.
        """
        for plan in plans:
            told = _told(plan, self.workshop.cache / SEGMENTS)
            if plan.key not in self.known or (None in told and not recorded):
                continue
            if taken_over(self.workshop, self.staging, self.known[plan.key]):
                self.made[plan.key] = self.known[plan.key].digests
                self.facts.update({one.name: one for one in told if one is not None})

    def pack(
        self, plans: Sequence[LayerPlan], owners: Callable[[], Owners], reporter: Reporter
    ) -> None:
        """Pack layers of packages; ``owners`` waits for the look at the wheels."""
        if not plans:
            return
        packing = Packing(
            self.lock,
            self.paths,
            self.staging.blobs,
            reporter,
            cache=self.workshop.cache,
            workers=self.workshop.workers,
            fresh=self.workshop.fresh,
            encoding=self.workshop.encoding,
        )
        self.made.update(packing.run(plans, self.known, owners))
        self.facts.update(packing.facts)

    def link(self, plans: Sequence[LayerPlan], owners: Owners, link: Linker | None) -> None:
        """Make the layers of what post-link scripts leave upon those that are made."""
        for plan in plans:
            below = _below(self.workshop, self.staging, self.made)
            folder = self.workshop.cache / SEGMENTS
            self.made[plan.key], written = pack_linked(
                plan, link, below, self.staging.blobs, folder
            )
            self.written.append(written)
            check_written(owners, written)

    def remember(self, plans: Sequence[LayerPlan], missing: Sequence[LayerPlan]) -> None:
        """Note for the next build what layers turned out to be, and where they will lie."""
        for plan in plans:
            before = self.known.get(plan.key)
            if plan in missing or before is None or not before.seen_here:
                remember_layer(self.workshop.cache, plan, self.made[plan.key], before)
        if self.staging.target.suffix != ".tar":
            remember_layout(self.workshop.cache, self.staging.target)


def _below(workshop: Workshop, staging: Staging, made: Mapping[str, StreamDigests]) -> Workshop:
    """Return a workshop where another image takes over the layers that were made for this one."""
    places = {
        one.digest: staging.blobs / one.digest.removeprefix("sha256:") for one in made.values()
    }
    return Workshop(
        cache=workshop.cache,
        workers=workshop.workers,
        layers={digest: path for digest, path in places.items() if path.is_file()},
        told=dict(made),
    )


def _told(plan: LayerPlan, folder: Path) -> list[CondaFacts | None]:
    """Return what an earlier run found out about a layer's packages."""
    if plan.kind == "linked":
        return [known_linked(plan, folder)]
    return [known_facts(item, folder) for item in conda_items(plan)]


def package_variables(packages: Sequence[CondaFacts]) -> dict[str, str]:
    """Return the variables that conda packages set in their environment, by name."""
    return {name: text for facts in packages for name, text in sorted(facts.env.items())}


def _say_what_is_not_run(lock: Lock, packages: Sequence[CondaFacts], reporter: Reporter) -> None:
    for one in undone(lock):
        reporter.warn(f"{one.package}: its post-link script was not run: {'; '.join(one.commands)}")
    for facts in packages:
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
    debs = [deb for deb in lock.of_kind("debian") if deb.sha256 in paths]
    debs.sort(key=lambda deb: -deb.size)
    folder = workshop.cache / SEGMENTS
    with (
        reporter.task("packing Debian packages", sum(deb.size for deb in debs), "bytes") as task,
        packing_pool(
            workshop.workers, to_encode(debs, folder), len(debs), encoding=workshop.encoding
        ) as pool,
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
