"""A lock held against the indexes, the channels and the archives of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.outdated.allowed import allowed_now
from envlock.outdated.model import Available, Outlook, PackageState
from envlock.outdated.newest import newest_conda, newest_debian, newest_wheels
from envlock.outdated.overrides import override_state
from envlock.outdated.upstream import Upstream
from envlock.platforms import PLATFORMS
from envlock.solve.python import PythonSolvers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.fetch.indexes import SimpleIndex
    from envlock.lock.model import Artifact, Lock
    from envlock.outdated.allowed import Allowed
    from envlock.progress import Reporter
    from envlock.solve import Solvers
    from envlock.spec.model import Spec, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look: the solve's own means, and package indexes by name."""

    solvers: Solvers
    index: SimpleIndex


def look(
    spec: Spec, target: Target, lock: Lock, sources: Sources, reporter: Reporter, *, text: str
) -> Outlook:
    """Return what has moved since ``lock`` was made; text: the file of ``spec``.

    Raises FetchError, UsageError, ArtifactError.
    """
    means = sources.solvers
    solvers = PythonSolvers(uv=means.uv, metadata=means.metadata, conda=means.conda)
    allowed = allowed_now(spec, target, solvers, reporter)
    upstream = Upstream(
        spec=spec,
        target=target,
        lock=lock,
        index=sources.index,
        metadata=means.metadata,
        conda=means.conda,
    )
    return Outlook(
        name=lock.name,
        platform=lock.platform,
        packages=_packages(spec, target, lock, sources, allowed, reporter),
        overrides=tuple(
            override_state(one, allowed.refused.get(str(one.location)), upstream, text)
            for one in spec.overrides
        ),
        problem=allowed.problem,
    )


def _packages(
    spec: Spec,
    target: Target,
    lock: Lock,
    sources: Sources,
    allowed: Allowed,
    reporter: Reporter,
) -> tuple[PackageState, ...]:
    means = sources.solvers
    wheels = newest_wheels(lock.of_kind("pypi"), sources.index, spec, target, reporter)
    conda = (
        newest_conda(lock.of_kind("conda"), means.conda, target.name, reporter)
        if means.conda is not None
        else {}
    )
    debs: Mapping[str, Available] = {}
    if lock.debian is not None:
        debs = newest_debian(
            lock.of_kind("debian"),
            lock.debian.suite,
            PLATFORMS[target.name],
            means.archives,
            means.transport,
            reporter,
        )
    available = {"pypi": wheels, "conda": conda, "debian": debs}
    forced = {(override.kind, override.package) for override in lock.overrides}
    return tuple(
        _state(
            one,
            available[one.kind].get(one.name),
            allowed,
            forced=(one.kind, one.name) in forced,
            past=bool(spec.exclude_newer and means.snapshot),
        )
        for one in lock.artifacts
    )


def _state(
    one: Artifact,
    available: Available | None,
    allowed: Allowed,
    *,
    forced: bool,
    past: bool,
) -> PackageState:
    found = available or Available(newest=None, source=one.source)
    newest = allowed.versions.get((one.kind, one.name))
    if one.kind == "debian":  # of a suite the newest is what a solve takes, but in the past
        newest = None if past else found.newest
    return PackageState(
        kind=one.kind,
        name=one.name,
        locked=one.version,
        allowed=newest,
        newest=found.newest,
        source=found.source,
        yanked=found.yanked,
        gone=found.gone,
        forced=forced,
        yanked_because=found.why,
    )
