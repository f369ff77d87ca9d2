"""The Python side of an environment: conda packages, and wheels on top of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.platforms import PLATFORMS
from envlock.solve.conda import CondaSolution, solve_conda
from envlock.solve.pypi.solve import solve_pypi
from envlock.solve.replace import joined, sides

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from envlock.lock.model import Artifact, LockedExclude, LockedOverride
    from envlock.progress import Reporter
    from envlock.solve.conda import CondaMeans
    from envlock.solve.provided import Provided
    from envlock.solve.pypi.metadata import MetadataReader
    from envlock.solve.pypi.uv import Uv
    from envlock.spec.model import Spec, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSolvers:
    """The machine's means; conda: None where the spec has no channels."""

    uv: Uv
    metadata: MetadataReader
    conda: CondaMeans | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSolution:
    """The conda packages and wheels of an environment, and what is set aside for them.

    urls: where each wheel lies by sha256, for this run only, never for the lock.
    """

    conda: CondaSolution
    wheels: tuple[Artifact, ...]
    overrides: tuple[LockedOverride, ...]
    excludes: tuple[LockedExclude, ...]
    urls: Mapping[str, str]

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Conda packages and wheels."""
        return (*self.conda.artifacts, *self.wheels)


def solve_python(
    spec: Spec,
    target: Target,
    solvers: PythonSolvers,
    reporter: Reporter,
    *,
    kept: Sequence[Artifact] = (),
    explained: bool = True,
    conda: CondaSolution | None = None,
) -> PythonSolution:
    """Return the exact conda packages and wheels for one target.

    kept: locked artifacts, which stay where they fit; explained: whether a failure is looked
    into, which costs more solves; conda: its packages, where they are known already.  Raises
    UnsatisfiableError, OverrideError, FetchError, ArtifactError, SpecError.
    """
    if conda is None:
        conda = conda_side(spec, target, solvers, reporter, kept=kept)
    describe = _descriptions(conda, solvers, reporter)
    environment = PLATFORMS[target.name].marker_environment(spec.python)
    both = sides(spec, conda, describe, environment)
    pypi = solve_pypi(
        both.spec,
        target,
        solvers.uv,
        solvers.metadata,
        reporter,
        preferred={one.name: one.version for one in kept if one.kind == "pypi"},
        explained=explained,
        provided=both.provided,
        forced=both.forced,
        read=describe,
    )
    return PythonSolution(
        conda=conda,
        wheels=pypi.artifacts,
        overrides=joined(both, spec, conda, pypi.overrides),
        excludes=pypi.excludes,
        urls=pypi.urls,
    )


def _descriptions(
    conda: CondaSolution, solvers: PythonSolvers, reporter: Reporter
) -> Callable[..., Sequence[Provided]]:
    """Return what reads the METADATA of distributions that conda brings: all, or some by name."""

    def describe(names: frozenset[str] | None = None) -> Sequence[Provided]:
        assert solvers.conda is not None
        bringing = [
            one
            for one in conda.artifacts
            if names is None or names & {name for name, _ in one.distributions}
        ]
        return solvers.conda.reader().described(bringing, reporter)

    return describe


def conda_side(
    spec: Spec,
    target: Target,
    solvers: PythonSolvers,
    reporter: Reporter,
    *,
    kept: Sequence[Artifact] = (),
) -> CondaSolution:
    """Return the conda packages alone; none where the spec asks for none."""
    if solvers.conda is None or not wants_conda(spec):
        return CondaSolution()
    packages = [one for one in kept if one.kind == "conda"]
    return solve_conda(spec, target, solvers.conda, reporter, kept=packages)


def wants_conda(spec: Spec) -> bool:
    """Tell whether a spec asks for conda packages."""
    return spec.conda is not None and bool(spec.conda.dependencies)
