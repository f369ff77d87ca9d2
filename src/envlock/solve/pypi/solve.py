"""The PyPI solve, step by step: resolve, look at the overrides, resolve again, explain."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envlock.errors import UnsatisfiableError
from envlock.lock.model import Artifact, LockedExclude, LockedOverride
from envlock.platforms import PLATFORMS
from envlock.requirements import Installed, applying, check_requirements
from envlock.solve.pypi.diagnose import Diagnosis
from envlock.solve.pypi.overrides import check_override, forced, locked_overrides, requirements_on
from envlock.solve.pypi.stubs import extra_requirements, usable
from envlock.solve.pypi.uv import Question, ScopedOverride

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from envlock.progress import Reporter
    from envlock.solve.provided import Provided
    from envlock.solve.pypi.choosing import Chosen
    from envlock.solve.pypi.metadata import Described, MetadataReader
    from envlock.solve.pypi.uv import Uv
    from envlock.spec.model import Spec, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiSolution:
    """The wheels of an environment, and what its overrides and exclusions set aside.

    urls: where each wheel lies by sha256, for this run only, never for the lock.
    """

    artifacts: tuple[Artifact, ...]
    overrides: tuple[LockedOverride, ...]
    excludes: tuple[LockedExclude, ...]
    urls: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


def solve_pypi(
    spec: Spec,
    target: Target,
    uv: Uv,
    metadata: MetadataReader,
    reporter: Reporter,
    *,
    preferred: Mapping[str, str] | None = None,
    explained: bool = True,
    provided: Sequence[Provided] = (),
    forced: Sequence[str] = (),
    read: Callable[[frozenset[str]], Sequence[Provided]] | None = None,
) -> PypiSolution:
    """Return the exact wheels for one target; ``preferred`` versions are kept where they fit.

    explained: whether a failure is looked into, which costs more solves; provided:
    distributions that are there already; forced: requirements that hold whoever asks; read:
    returns those of the ``provided`` that are named with their METADATA.  Raises
    UnsatisfiableError, OverrideError, FetchError.
    """
    if not spec.pypi.dependencies and not spec.overrides:
        return PypiSolution(artifacts=(), overrides=(), excludes=())
    environment = PLATFORMS[target.name].marker_environment(spec.python)
    question = _question(spec, target, preferred or {}, provided, forced)

    def describe(chosen: Sequence[Chosen]) -> tuple[Described, ...]:
        return metadata.describe(chosen, reporter)

    try:
        with reporter.task(f"resolving {spec.name} for {target.name}"):
            chosen = uv.ask(question)
        described = describe(chosen)
        exact = _with_markers(spec, question, described, environment)
        exact = _with_extras(exact, described, read)
        if exact != question:
            described = describe(uv.ask(exact))
    except UnsatisfiableError as failure:
        if not explained:
            raise
        diagnosis = Diagnosis(uv=uv, describe=describe, spec=spec, environment=environment)
        raise diagnosis.explain(question, failure) from None
    _check_owners(described, exact)
    _warn_of_extras(spec, described, exact.stubs, reporter)
    return _solution(spec, described, environment, exact.stubs)


def _with_extras(
    question: Question,
    described: Sequence[Described],
    read: Callable[[frozenset[str]], Sequence[Provided]] | None,
) -> Question:
    """Return the question with the METADATA of those distributions whose extras are wanted."""
    unread = {stub.name for stub in question.stubs if stub.requires is None}
    asked = [Requirement(text) for text in question.requirements]
    asked += [requirement for item in described for requirement in item.requires]
    wanted = {canonicalize_name(r.name) for r in asked if r.extras} & unread
    if not wanted or read is None:
        return question
    known = {item.name: item for item in read(frozenset(wanted))}
    for name in sorted(wanted):
        if name not in known or known[name].requires is None:
            package = next(stub.package for stub in question.stubs if stub.name == name)
            raise UnsatisfiableError(
                f"an extra of {name} is asked for, which the conda package {package} provides, "
                "and its METADATA is not in the package",
                hint=f"ask for {name} without the extra, and for what the extra needs by name",
            )
    stubs = tuple(known.get(stub.name, stub) for stub in question.stubs)
    return dataclasses.replace(question, stubs=stubs)


def _check_owners(described: Sequence[Described], question: Question) -> None:
    """Refuse a wheel of a distribution that is there already."""
    owners = {stub.name: stub.package for stub in question.stubs}
    for item in described:
        if item.name in owners:
            raise UnsatisfiableError(
                f"{item.name} would be there twice: from the conda package {owners[item.name]} "
                f"and as the wheel {item.version}",
                hint="a distribution has one owner: exclude one of the two",
            )


def _warn_of_extras(
    spec: Spec, described: Sequence[Described], stubs: Sequence[Provided], reporter: Reporter
) -> None:
    """Name the extras that the spec asks for and the distribution does not have."""
    provided: dict[str, Described | Provided] = {
        **{stub.name: stub for stub in stubs if stub.requires is not None},
        **{item.name: item for item in described},
    }
    for asked in spec.pypi.dependencies:
        item = provided.get(canonicalize_name(asked.requirement.name))
        if item is None:
            continue
        unknown = {e for e in asked.requirement.extras if canonicalize_name(e) not in item.extras}
        if unknown:
            known = ", ".join(sorted(item.extras)) or "none"
            reporter.warn(
                f"{asked.location}: {item.name} {item.version} has no extra "
                f"{', '.join(sorted(unknown))}; it has: {known}"
            )


def _question(
    spec: Spec,
    target: Target,
    preferred: Mapping[str, str],
    provided: Sequence[Provided],
    forced_too: Sequence[str],
) -> Question:
    adds = [asked for override in spec.overrides for asked in override.adds]
    moment = spec.exclude_newer
    return Question(
        name=spec.name,
        python=spec.python,
        target=target,
        requirements=sorted(
            {*(str(a.requirement) for a in (*spec.pypi.dependencies, *adds)), *forced_too}
        ),
        constraints=[str(asked.requirement) for asked in spec.pypi.constraints],
        exclude=spec.pypi.exclude,
        overrides=[
            ScopedOverride(package=dependent, requirement=forced(override))
            for override in spec.overrides
            for dependent in override.against
        ],
        exclude_newer=moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None,
        indexes=spec.indexes,
        preferred=preferred,
        stubs=tuple(item for item in provided if usable(item)),
    )


def _with_markers(
    spec: Spec,
    question: Question,
    described: Sequence[Described],
    environment: Mapping[str, str],
) -> Question:
    """Return the question with each forced version under the marker of the pin it replaces."""
    by_name = {item.name: item for item in described}
    versions = {stub.name: stub.version for stub in question.stubs}
    scoped = []
    for override in spec.overrides:
        check_override(override, by_name, environment, versions)
        for dependent in override.against:
            pins = requirements_on(by_name[dependent], override.package, environment)
            scoped.append(ScopedOverride(package=dependent, requirement=forced(override, pins[0])))
    return dataclasses.replace(question, overrides=scoped)


def _solution(
    spec: Spec,
    described: Sequence[Described],
    environment: Mapping[str, str],
    stubs: Sequence[Provided],
) -> PypiSolution:
    installed = [
        Installed(name=d.name, version=d.version, requires=tuple(str(r) for r in d.requires))
        for d in described
    ]
    installed += [
        Installed(name=s.name, version=s.version, requires=tuple(extra_requirements(s)))
        for s in stubs
    ]
    adds = [asked for override in spec.overrides for asked in override.adds]
    roots = [str(asked.requirement) for asked in (*spec.pypi.dependencies, *adds)]
    verdict = check_requirements(installed, environment, roots=roots)
    overrides, excludes, left = locked_overrides(spec, described, verdict.violations)
    if left:
        raise UnsatisfiableError(
            f"{spec.name}: the chosen packages contradict each other",
            details=[f"  {violation}" for violation in left],
            hint="the index's metadata and the resolver disagree; look at these packages",
        )
    depends = applying(installed, environment, roots)
    return PypiSolution(
        artifacts=tuple(_artifact(item, depends[item.name]) for item in described),
        overrides=overrides,
        excludes=excludes,
        urls={item.chosen.sha256: item.chosen.url for item in described},
    )


def _artifact(described: Described, depends: Sequence[str]) -> Artifact:
    chosen = described.chosen
    return Artifact(
        kind="pypi",
        name=canonicalize_name(chosen.name),
        version=chosen.version,
        source=chosen.index,
        file=chosen.file,
        path=_path(chosen),
        sha256=chosen.sha256,
        size=chosen.size,
        depends=tuple(depends),
        yanked=chosen.yanked,
    )


def _path(chosen: Chosen) -> str:
    """Return where the file lies below its index's files, without host and folder.

    Indexes that spread files by hash end in ``xx/yy/<rest>/<file>``; of others only the
    last folder and the file are kept.  What a folder on a machine is called says nothing.
    """
    url = urlsplit(chosen.url)
    if url.scheme == "file":
        return f"{chosen.name}/{chosen.file}"
    parts = unquote(url.path).strip("/").split("/")
    if len(parts) >= 5 and [len(part) for part in parts[-4:-1]] == [2, 2, 60]:
        return "/".join(parts[-5:])
    return "/".join(parts[-2:])
