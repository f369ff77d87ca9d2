"""One set of packages tried: solved for real, looked into, audited; nothing twice."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envlock.audit import target_of
from envlock.audit.api import audit_keyed, audit_known
from envlock.audit.obtain import Means, indexes_of, known_keys, unknown_of
from envlock.audit.words import additions
from envlock.errors import FetchError, OverrideError, UnsatisfiableError
from envlock.fetch.indexes import CondaChannels
from envlock.progress import SILENT
from envlock.solve.python import PythonSolvers, conda_side, solve_python
from envlock.spec.projection import project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from envlock.advise.model import Limits
    from envlock.audit import Audit
    from envlock.errors import EnvlockError
    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http
    from envlock.fetch.indexes import SimpleIndex
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.solve.conda import CondaMeans, CondaSolution
    from envlock.solve.pypi.metadata import MetadataReader
    from envlock.solve.pypi.uv import Uv
    from envlock.solve.python import PythonSolution
    from envlock.spec.model import Spec, Target

_UNWEIGHED = frozenset({"degrades", "falls-back", "hidden"})
_ROUNDS = 3
"""How often what nobody declares is added, which may need something itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The machine's means: how indexes are asked, how packages are had.

    cache: the audit's; conda: None where the spec has no channels.
    """

    uv: Uv
    metadata: MetadataReader
    http: Http
    fetcher: Fetcher
    index: SimpleIndex
    cache: Path | None = None
    conda: CondaMeans | None = None

    @property
    def solvers(self) -> PythonSolvers:
        """What a solve takes of them."""
        return PythonSolvers(uv=self.uv, metadata=self.metadata, conda=self.conda)


class NothingLeftError(Exception):
    """The limits are used up; the rest is named as not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one set; error: why there is none.

    adds: what had to be added because somebody needs it and nobody declares it.
    """

    solution: PythonSolution | None = None
    audit: Audit | None = None
    adds: tuple[str, ...] = ()
    error: EnvlockError | None = None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return self.solution.artifacts if self.solution else ()

    @property
    def versions(self) -> dict[str, str]:
        """Versions of distributions by name, and of conda packages that bring none."""
        found: dict[str, str] = {}
        for one in sorted(self.artifacts, key=lambda artifact: artifact.kind):
            brought = one.distributions or ((one.name, one.version),)
            found |= dict(brought)  # wheels come last and replace
        return found

    @property
    def voids(self) -> tuple[str, ...]:
        """What is set aside, as ``dependent version -> requirement``."""
        overrides = self.solution.overrides if self.solution else ()
        return tuple(
            f"{void.dependent} {void.version} -> {void.requirement}"
            for override in overrides
            for void in override.voids
        )


@dataclass(slots=True, kw_only=True)
class Lab:
    """Where trials are made; it counts them and ends when its limits are used up.

    kept: locked artifacts, which stay where they fit.
    """

    tools: Tools
    target: Target
    limits: Limits
    reporter: Reporter
    kept: Sequence[Artifact] = ()
    trials: int = 0
    moved: int = 0
    _begun: float = field(default_factory=time.monotonic)
    _known: dict[str, Trial] = field(default_factory=dict)
    _conda: dict[str, CondaSolution] = field(default_factory=dict)

    def closed(
        self,
        make: Callable[[tuple[str, ...]], Spec],
        hints: Iterable[str] = (),
        start: Iterable[str] = (),
    ) -> Trial:
        """Try what ``make`` makes of additions, adding what imports need and nobody declares.

        hints: requirements whose versions are used for additions; start: additions that are
        probably needed, and left out again if not.  Raises NothingLeftError.
        """
        wanted = {_name(text): text for text in hints}
        adds = tuple(sorted(start))
        trial = self.tried(make(adds), adds)
        needed = tuple(text for text in adds if _is_used(trial, text))
        if needed != adds:
            adds = needed
            trial = self.tried(make(adds), adds)
        for _ in range(_ROUNDS):
            more = tuple(wanted.get(_name(text), text) for text in _undeclared(trial))
            if not more:
                break
            adds = tuple(sorted({*adds, *more}))
            fuller = self.tried(make(adds), adds)
            if fuller.audit is None:
                break
            trial = fuller
        return trial

    def tried(self, spec: Spec, adds: tuple[str, ...] = ()) -> Trial:
        """Solve, look and audit; raises NothingLeftError, and FetchError where a wheel is gone."""
        key = json.dumps(project(spec, self.target.name), sort_keys=True)
        if key not in self._known:
            self._check_limits()
            self.trials += 1
            self._known[key] = self._made(spec, adds)
        return self._known[key]

    def solved(self, spec: Spec, *, explained: bool = True) -> PythonSolution:
        """Solve a spec; conda's side is asked once for all specs that have the same one."""
        asked = project(spec, self.target.name)
        ours = [o for o in asked.get("overrides", ()) if o.get("from") == "conda"]
        key = json.dumps([asked.get("conda"), ours], sort_keys=True)
        solvers = self.tools.solvers
        reporter = self.reporter if explained else SILENT
        if key not in self._conda:
            self._conda[key] = conda_side(spec, self.target, solvers, reporter, kept=self.kept)
        return solve_python(
            spec, self.target, solvers, reporter,
            kept=self.kept, explained=explained, conda=self._conda[key],
        )  # fmt: skip

    def _check_limits(self) -> None:
        late = self.limits.seconds is not None and (
            time.monotonic() - self._begun > self.limits.seconds
        )
        if late or self.trials >= self.limits.trials:
            raise NothingLeftError

    def _made(self, spec: Spec, adds: tuple[str, ...]) -> Trial:
        tools = self.tools
        try:
            solution = self.solved(spec, explained=False)
        except (UnsatisfiableError, OverrideError) as error:
            return Trial(error=error)
        except FetchError as error:
            if not tools.http.offline:
                raise
            return Trial(error=error)
        allowed = self.limits.unknown
        if allowed is not None and len(unknown_of(solution.artifacts, tools.cache)) > allowed:
            raise NothingLeftError
        means = Means(
            fetcher=tools.fetcher,
            http=tools.http,
            locate=lambda artifact: _places(artifact, solution, tools),
            cache=tools.cache,
        )
        target = target_of(spec.python, self.target.name)
        keys = known_keys(solution.artifacts, means)
        audit = audit_known(keys, target, tools.cache) if keys is not None else None
        if audit is None:
            looked = indexes_of(solution.artifacts, means, self.reporter)
            self.moved += looked.moved
            if looked.unread:
                return Trial(error=_unread(looked.unread))
            indexes = {looked.keys[sha256]: index for sha256, index in looked.indexes.items()}
            audit = audit_keyed(indexes, target, cache=tools.cache, notes=looked.notes)
        return Trial(solution=solution, audit=_weighed(audit), adds=adds)


def _weighed(audit: Audit) -> Audit:
    """Return what changes are weighed by; the rest of many audits would fill the memory."""
    kept = tuple(finding for finding in audit.findings if finding.severity not in _UNWEIGHED)
    return dataclasses.replace(audit, findings=kept)


def _places(artifact: Artifact, solution: PythonSolution, tools: Tools) -> Iterable[str]:
    if artifact.kind == "conda" and tools.conda is not None:
        return CondaChannels(tools.conda.access).urls(artifact)
    return [solution.urls[artifact.sha256]]


def _unread(names: Sequence[str]) -> FetchError:
    return FetchError(f"offline, and not in the caches: {', '.join(names)}")


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _is_used(trial: Trial, addition: str) -> bool:
    """Tell whether somebody imports an addition without declaring it."""
    if trial.audit is None:
        return True
    name = _name(addition)
    return any(finding.add == name for finding in trial.audit.undeclared)


def _undeclared(trial: Trial) -> list[str]:
    """Return what is missing because nobody declares it, and whose lack breaks an import."""
    locked = trial.versions
    findings = trial.audit.of("breaks-import") if trial.audit else ()
    return additions(finding for finding in findings if finding.add not in locked)
