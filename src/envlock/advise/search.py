"""The search for ways out.

Problems come first: what each override is there for (its audit against that of the
environment without it), what breaks and no override explains, and a conflict that no
override settles.  Then, for each, other versions of the distributions whose code has the
problem, of the one that is forced, and of those whose pins are in the way.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from envlock.advise.candidates import Candidate, Candidates, Ground
from envlock.advise.change import changed, reason_for
from envlock.advise.model import Advice, Change, Limits, Problem, Tried
from envlock.advise.trial import Lab, NothingLeftError
from envlock.advise.weigh import SERIOUS, Scales, Weighed, ranked
from envlock.audit import judge, matches
from envlock.audit.model import normalize
from envlock.progress import SILENT
from envlock.review.names import version_of
from envlock.solve.pypi.diagnose import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from envlock.advise.trial import Tools, Trial
    from envlock.audit import Audit, Finding
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.spec.model import Override, Spec, Target


def advise(
    spec: Spec,
    target: Target,
    tools: Tools,
    reporter: Reporter = SILENT,
    *,
    limits: Limits | None = None,
    kept: Sequence[Artifact] = (),
) -> tuple[Advice, ...]:
    """Return ways out of each override and each unexplained break of a spec.

    kept: artifacts of the lock, which stay where they fit.  Raises FetchError, OverrideError,
    and UnsatisfiableError where there is no solution and that is no matter of one pin.
    """
    lab = Lab(
        tools=tools,
        target=target,
        limits=limits or Limits(),
        reporter=reporter,
        kept=kept,
    )
    search = _Search(spec, lab)
    try:
        lab.solved(spec)
    except ConflictError as conflict:
        return (search.conflict(conflict),)
    return search.all()


@dataclass(frozen=True, slots=True)
class _Search:
    spec: Spec
    lab: Lab

    def all(self) -> tuple[Advice, ...]:
        try:
            current = self.lab.tried(self.spec)
        except NothingLeftError:
            return tuple(self._unfinished(_problem_of(one)) for one in self.spec.overrides)
        if current.audit is None:
            assert current.error is not None
            raise current.error
        advices = [self._override(override, current) for override in self.spec.overrides]
        return (*advices, *self._breaks(current))

    def _override(self, override: Override, current: Trial) -> Advice:
        """Look for ways out of one override."""
        drop = Change(kind="drop", package=override.package, version="", drops=override.package)
        hints = [str(asked.requirement) for asked in override.adds]
        problem = _problem_of(override)
        try:
            natural = self._closed(Candidate(spec=self.spec, change=drop), hints=hints)
        except NothingLeftError:
            return self._unfinished(problem)
        before = natural.audit
        if before is None:
            reason = natural.error.message if natural.error else ""
            problem = dataclasses.replace(problem, reason=reason)
        else:
            assert current.audit is not None
            fixes = _serious(judge(before, current.audit).fixes)
            problem = dataclasses.replace(
                problem,
                natural=version_of(override, natural.artifacts) or "",
                fixes=fixes,
                users=_users(fixes, override.package),
            )
        artifacts = natural.artifacts or current.artifacts
        ground = Ground(spec=self.spec, free=self.spec, problem=problem, artifacts=artifacts)
        scales = Scales(spec=self.spec, problem=problem, before=before, versions=current.versions)
        keep = Change(kind="keep", package=override.package, version=override.version)
        yours = scales.weigh(Candidate(spec=self.spec, change=keep), current)
        return self._searched(ground, scales, hints, natural.adds, [yours])

    def _breaks(self, current: Trial) -> list[Advice]:
        """Look for ways out of imports that fail, by whose code is lacking what."""
        audit = current.audit
        assert audit is not None
        groups: dict[str, list[Finding]] = {}
        for finding in audit.of("breaks-import"):
            if not finding.add and not self._accepted(finding):
                groups.setdefault(normalize(finding.needs.provider), []).append(finding)
        advices: list[Advice] = []
        if _addable(audit):
            advices.append(self._guarded(self._added, _missing(audit), current))
        for provider, findings in sorted(groups.items()):
            package = provider if provider in current.versions else ""
            problem = Problem(
                package=package,
                natural=current.versions.get(package, ""),
                fixes=tuple(findings),
                users=_users(findings, package),
            )
            advices.append(self._guarded(self._broken, problem, current))
        return advices

    def _guarded(
        self, search: Callable[[Problem, Trial], Advice], problem: Problem, current: Trial
    ) -> Advice:
        try:
            return search(problem, current)
        except NothingLeftError:
            return self._unfinished(problem)

    def _broken(self, problem: Problem, current: Trial) -> Advice:
        keep = Change(kind="keep", package=problem.package, version=problem.natural)
        fuller = self._closed(Candidate(spec=self.spec, change=_add_to(keep)))
        ground = Ground(
            spec=self.spec, free=self.spec, problem=problem, artifacts=current.artifacts
        )
        before = fuller.audit or current.audit
        scales = Scales(spec=self.spec, problem=problem, before=before, versions=current.versions)
        return self._searched(ground, scales, (), (), [])

    def _added(self, problem: Problem, current: Trial) -> Advice:
        """Return the way out of what is needed and declared by nobody: to ask for it."""
        overridden = [o.package for o in self.spec.overrides if o.package in problem.users]
        package = overridden[0] if overridden else ""
        candidate = Candidate(
            spec=self.spec, change=Change(kind="add", package=package, version="")
        )
        trial = self._closed(candidate)
        scales = Scales(
            spec=self.spec, problem=problem, before=current.audit, versions=current.versions
        )
        return self._advice(problem, [scales.weigh(candidate, trial)], [])

    def conflict(self, conflict: ConflictError) -> Advice:
        """Look for ways out of a line of the spec that pins exclude."""
        free = _without(self.spec, conflict)
        keep = Change(kind="drop", package=conflict.package, version="")
        problem = Problem(package=conflict.package, reason=conflict.message)
        try:
            natural = self._closed(Candidate(spec=free, change=keep))
        except NothingLeftError:
            return self._unfinished(problem)
        if natural.audit is None:
            raise conflict
        findings = [
            finding
            for finding in natural.audit.of("breaks-import")
            if normalize(finding.needs.provider) == conflict.package
        ]
        problem = dataclasses.replace(
            problem,
            natural=natural.versions.get(conflict.package, ""),
            fixes=tuple(findings),
            users=_users(findings, conflict.package),
        )
        ground = Ground(spec=self.spec, free=free, problem=problem, artifacts=natural.artifacts)
        scales = Scales(
            spec=self.spec, problem=problem, before=natural.audit, versions=natural.versions
        )
        return self._searched(ground, scales, (), (), [])

    def _searched(
        self,
        ground: Ground,
        scales: Scales,
        hints: Sequence[str],
        start: Sequence[str],
        results: list[Weighed | Tried],
    ) -> Advice:
        """Try all candidates, as long as the limits allow."""
        candidates = Candidates(ground, self.lab)
        because = reason_for(ground.problem)
        every = list(candidates.all())
        label = f"trying other versions for {self.spec.name}"
        with self.lab.reporter.task(label, len(every)) as task:
            for number, candidate in enumerate(every):
                try:
                    trial = self._closed(candidate, because, hints, start)
                except NothingLeftError:
                    left = [one.change for one in every[number:]]
                    candidates.skipped.append(_not_tried(left))
                    break
                results.append(scales.weigh(candidate, trial))
                task.advance(1)
        return self._advice(ground.problem, results, candidates.skipped)

    def _unfinished(self, problem: Problem) -> Advice:
        return self._advice(problem, [], ["everything: the limit was reached"])

    def _advice(
        self, problem: Problem, results: Sequence[Weighed | Tried], skipped: Sequence[str]
    ) -> Advice:
        return Advice(
            problem=problem,
            ways=ranked([result for result in results if isinstance(result, Weighed)]),
            tried=tuple(result for result in results if isinstance(result, Tried)),
            skipped=tuple(skipped),
            moved=self.lab.moved,
            trials=self.lab.trials,
        )

    def _closed(
        self,
        candidate: Candidate,
        because: str = "",
        hints: Iterable[str] = (),
        start: Iterable[str] = (),
    ) -> Trial:
        def make(adds: tuple[str, ...]) -> Spec:
            change = dataclasses.replace(candidate.change, adds=adds)
            return changed(candidate.spec, change, because)

        return self.lab.closed(make, hints, start)

    def _accepted(self, finding: Finding) -> bool:
        lines = [*self.spec.accepts, *(a for o in self.spec.overrides for a in o.accepts)]
        return any(matches(line.pattern, finding) for line in lines if not line.is_failure)


def _problem_of(override: Override) -> Problem:
    return Problem(package=override.package, override=override)


def _serious(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity in SERIOUS)


def _users(findings: Iterable[Finding], package: str) -> tuple[str, ...]:
    """Return the distributions whose code has the problem, but for the package itself."""
    return tuple(sorted({normalize(f.who.distribution) for f in findings} - {package}))


def _addable(audit: Audit) -> tuple[Finding, ...]:
    return tuple(finding for finding in audit.of("breaks-import") if finding.add)


def _missing(audit: Audit) -> Problem:
    """Return the problem of what is needed and declared by nobody."""
    findings = _addable(audit)
    return Problem(package="", fixes=findings, users=_users(findings, ""))


def _add_to(change: Change) -> Change:
    return dataclasses.replace(change, kind="add")


def _without(spec: Spec, conflict: ConflictError) -> Spec:
    """Return the spec with the line that conflicts gone, or (a dependency) for any version."""
    asked = conflict.asked
    loose = Requirement(str(asked.requirement))
    loose.specifier = SpecifierSet()
    pypi = dataclasses.replace(
        spec.pypi,
        dependencies=tuple(
            dataclasses.replace(item, requirement=loose) if item is asked else item
            for item in spec.pypi.dependencies
        ),
        constraints=tuple(item for item in spec.pypi.constraints if item is not asked),
    )
    return dataclasses.replace(spec, pypi=pypi)


def _not_tried(changes: Sequence[Change]) -> str:
    """Name what the limits left out."""
    names = [f"{change.package} {change.version}".strip() for change in changes]
    return f"{', '.join(names)}: the limit was reached"
