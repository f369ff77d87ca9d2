"""The conda solve, step by step: ask rattler, look into the packages, look at the overrides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import SpecError, UnsatisfiableError
from envlock.lock.model import LockedOverride
from envlock.platforms import PLATFORMS
from envlock.solve.conda.channels import Channels
from envlock.solve.conda.names import with_names
from envlock.solve.conda.overrides import check_until, effect, forced_conda
from envlock.solve.conda.packages import PackageReader, may_bring_distributions
from envlock.solve.conda.records import artifact, virtual_packages
from envlock.solve.conda.solver import Question, Rattler
from envlock.solve.provided import Provided
from envlock.solve.wrong_overrides import absent, stale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.channels import ChannelAccess
    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.spec.model import Conda, Spec, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaMeans:
    """The machine's means: where the spec's channels are, and how they are read.

    table: the user's own table of the distributions that conda packages stand for.
    """

    access: Mapping[str, ChannelAccess]
    http: Http
    fetcher: Fetcher
    cache: Path
    offline: bool = False
    table: Path | None = None

    def reader(self) -> PackageReader:
        """Return what looks into packages."""
        return PackageReader(self.access, self.http, self.fetcher, self.cache / "packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaSolution:
    """The conda packages of an environment.

    overrides: those of conda packages, with what they void; open: of each, by its place in
    ``overrides``, the dependents that are no conda packages and so must be wheels.
    """

    artifacts: tuple[Artifact, ...] = ()
    overrides: tuple[LockedOverride, ...] = ()
    open: tuple[frozenset[str], ...] = ()

    def provided(self) -> tuple[Provided, ...]:
        """Return the distributions that the packages bring, METADATA unread."""
        return tuple(
            Provided(name=name, version=version, package=one.name)
            for one in self.artifacts
            for name, version in one.distributions
        )

    def owner(self, distribution: str) -> Artifact | None:
        """Return the package that brings a distribution."""
        for one in self.artifacts:
            if distribution in dict(one.distributions):
                return one
        return None

    @property
    def has_python(self) -> bool:
        return any(one.name == "python" for one in self.artifacts)


def solve_conda(
    spec: Spec,
    target: Target,
    means: CondaMeans,
    reporter: Reporter,
    *,
    kept: Sequence[Artifact] = (),
) -> CondaSolution:
    """Return the exact conda packages for one target; ``kept`` ones stay where they fit.

    Raises UnsatisfiableError, OverrideError, FetchError, ArtifactError, SpecError, UsageError.
    """
    conda = spec.conda
    if conda is None or not (conda.dependencies or conda.constraints):
        return CondaSolution()
    names = [channel.name for channel in conda.channels]
    channels = Channels(names, means.access, means.cache / "repodata", offline=means.offline)
    rattler = Rattler(channels)
    question = _question(spec, conda, target, [one for one in kept if one.source in names])
    with reporter.task(f"solving conda packages of {spec.name} for {target.name}"):
        try:
            records = rattler.ask(question)
        except UnsatisfiableError as failure:
            from envlock.solve.conda.explain import explain

            raise explain(failure, spec, target, rattler, question) from None
    chosen = [artifact(record, channels.name(record.channel)) for record in records]
    _check_python(spec, conda, chosen)
    _check_priority(question, rattler, chosen)
    _check_subdirs(question, rattler, chosen)
    reader = means.reader()
    artifacts = with_names(
        reader.with_contents(chosen, reporter),
        {record.name.normalized: record for record in records},
        spec,
        frozenset(one.name for one in chosen if may_bring_distributions(one)),
        means.table,
    )
    _check_owners(artifacts, conda)
    locked, still_open = _overrides(spec, target, artifacts, reader, reporter)
    return CondaSolution(artifacts=artifacts, overrides=locked, open=still_open)


def target_packages(target: Target) -> tuple[tuple[str, str, str], ...]:
    """Return the virtual packages of a target."""
    return virtual_packages(
        machine=PLATFORMS[target.name].machine,
        glibc=target.glibc,
        cuda=target.cuda,
        linux=target.linux,
        archspec=target.archspec,
    )


def _question(spec: Spec, conda: Conda, target: Target, kept: Sequence[Artifact]) -> Question:
    ours = [override for override in spec.overrides if override.kind == "conda"]
    adds = [asked for override in ours for asked in override.conda_adds]
    python = [] if _names_python(conda) else [f"python {spec.python}.*"]
    return Question(
        platform=target.name,
        priority=conda.priority,
        dependencies=[*conda.dependencies, *adds],
        constraints=conda.constraints,
        more_constraints=python,
        virtual=target_packages(target),
        forced={o.package: f"{o.package} =={o.version}" for o in ours},
        dependents={o.package: frozenset(o.claims) for o in ours},
        kept=kept,
        exclude_newer=spec.exclude_newer,
    )


def _names_python(conda: Conda) -> bool:
    return any(asked.name == "python" for asked in conda.dependencies)


def _check_python(spec: Spec, conda: Conda, chosen: Sequence[Artifact]) -> None:
    """Refuse a Python of conda's that is not the spec's."""
    python = next((one for one in chosen if one.name == "python"), None)
    if python is None or python.version.startswith(f"{spec.python}."):
        return
    asked = next((a for a in conda.dependencies if a.name == "python"), None)
    raise SpecError(
        f"python: says {spec.python}, and conda brings python {python.version}",
        location=asked.location if asked else conda.location,
        hint=f'write python: "{".".join(python.version.split(".")[:2])}", or ask for '
        f"python={spec.python}",
    )


def _check_priority(question: Question, rattler: Rattler, chosen: Sequence[Artifact]) -> None:
    """Refuse what comes from behind a channel that has the package, too.

    rattler looks only at those records that meet what the spec asks for: where the first
    channel has none of them it takes the next channel's, even by strict priority, and an
    internal package would be taken from where anybody may publish its name.
    """
    if question.priority != "strict":
        return
    asked = {one.name: one for one in question.dependencies}
    free = [one for one in chosen if one.name not in asked or asked[one.name].channel is None]
    firsts = rattler.first_channels(question.platform, {one.name: one.source for one in free})
    for one in free:
        first = firsts.get(one.name, one.source)
        if first != one.source:
            wanted = asked.get(one.name)
            raise UnsatisfiableError(
                f"the channel {first} has no {wanted.spec if wanted else one.name} that fits, and "
                f"{one.name} {one.version} is from {one.source}, which comes after it",
                where=str(wanted.location) if wanted else None,
                hint=f'write "{one.source}::{wanted.bare if wanted else one.name}" if that one is '
                "meant, or channel-priority: flexible",
            )


def _check_subdirs(question: Question, rattler: Rattler, chosen: Sequence[Artifact]) -> None:
    """Refuse what is not from the folder of its channel that is asked for.

    rattler reads ``main/linux-64::tool`` and does not act on it.
    """
    by_name = {one.name: one for one in chosen}
    for asked in (*question.dependencies, *question.constraints):
        one = by_name.get(asked.name)
        if asked.subdir is None or one is None or one.path.startswith(f"{asked.subdir}/"):
            continue
        there = sorted(
            (record.version, f"{asked.name}={record.version}={record.build}")
            for _, record in rattler.records(question.platform, [asked.name])
            if record.subdir == asked.subdir
        )
        raise UnsatisfiableError(
            f"{asked.spec} names {asked.subdir}, and what fits best, {one.name} {one.version}, is "
            f"from {one.source}/{one.path.partition('/')[0]}",
            where=str(asked.location),
            hint=f"name a version and a build that are only there: {there[-1][1]}"
            if there
            else f"packages of {asked.subdir} are not for {question.platform}",
        )


def _check_owners(artifacts: Sequence[Artifact], conda: Conda) -> None:
    """Refuse two conda packages that bring the same distribution."""
    owners: dict[str, str] = {}
    for one in artifacts:
        for name, _ in one.distributions:
            if owners.setdefault(name, one.name) != one.name:
                raise UnsatisfiableError(
                    f"two conda packages bring the distribution {name}: {owners[name]} and "
                    f"{one.name}",
                    where=str(conda.location),
                    hint="a distribution has one owner: ask for one of the two, or correct "
                    "conda.map",
                )


def _overrides(
    spec: Spec,
    target: Target,
    artifacts: Sequence[Artifact],
    reader: PackageReader,
    reporter: Reporter,
) -> tuple[tuple[LockedOverride, ...], tuple[frozenset[str], ...]]:
    ours = sorted((o for o in spec.overrides if o.kind == "conda"), key=lambda o: o.package)
    if not ours:
        return (), ()
    provided = reader.described(artifacts, reporter)
    environment = PLATFORMS[target.name].marker_environment(spec.python)
    locked, still_open = [], []
    for override in ours:
        check_until(override, artifacts)
        forced = forced_conda(override, artifacts)
        if forced is None:
            raise stale(
                override,
                "nothing in the environment requires it",
                "add it to conda.dependencies, or remove the override",
            )
        found = effect(override, forced, artifacts, provided, environment)
        left = frozenset(override.claims) - found.dependents
        wheels_may_depend = bool(forced.distributions) and bool(spec.pypi.dependencies)
        if left and not wheels_may_depend:
            raise absent(override, min(left), [one.name for one in artifacts])
        locked.append(
            LockedOverride(
                package=override.package,
                version=override.version,
                voids=found.voids,
                kind="conda",
            )
        )
        still_open.append(left)
    return tuple(locked), tuple(still_open)
