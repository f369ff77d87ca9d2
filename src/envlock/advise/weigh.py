"""What a tried change is worth, and which of several is better."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.advise.change import changed, reason_for, replaced, yaml_of
from envlock.advise.model import Tried, Way
from envlock.audit import judge
from envlock.audit.model import ERRORS, WARNINGS, normalize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from envlock.advise.candidates import Candidate
    from envlock.advise.model import Change, Problem
    from envlock.advise.trial import Trial
    from envlock.audit import Audit, Finding
    from envlock.spec.model import Spec

SERIOUS = ERRORS | WARNINGS
_ALTERNATIVES = 2
"""How many of the alternatives that a reason lists are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A way with how far its version is from the one it replaces.

    yields: does it give up the line of the spec that a conflict is about?
    """

    way: Way
    far: int
    yields: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """What trials of one problem are held against.

    spec: as it is, and versions: of its packages; before: the audit without the override, or
    None.
    """

    spec: Spec
    problem: Problem
    before: Audit | None
    versions: Mapping[str, str]

    def weigh(self, candidate: Candidate, trial: Trial) -> Weighed | Tried:
        """Tell whether a trial is a way out, and what it costs."""
        change = dataclasses.replace(candidate.change, adds=trial.adds)
        if trial.audit is None:
            return Tried(change=change, reason=_first(trial, change))
        if change.kind == "require" and trial.versions.get(change.package) != change.version:
            return Tried(change=change, reason=f"{change.package} is not needed then")
        here = {f.key: f for f in trial.audit.findings if f.severity in SERIOUS}
        left = [here[f.key] for f in self.problem.fixes if f.key in here]
        breaks = self._breaks(trial.audit, change)
        fatal = [*left, *(f for f in breaks if f.severity in ERRORS)]
        yours = change.kind == "keep"
        if fatal and not yours:
            return Tried(change=change, reason=fatal[0].text)
        after = changed(candidate.spec, change, reason_for(self.problem))
        way = Way(
            change=change,
            voids=trial.voids,
            breaks=breaks,
            moved=self._moved(trial, change),
            replaces=replaced(self.spec, after),
            yours=yours,
            yaml=yaml_of(self.spec, after, self.problem, breaks),
            unverified=trial.audit.unverified,
        )
        return Weighed(way=way, far=candidate.far, yields=self._yields(trial))

    def _yields(self, trial: Trial) -> bool:
        """Tell whether what was asked for is given up, where that only stood in a pin's way."""
        package = self.problem.package
        found = trial.versions.get(package)
        if self.problem.override is not None or not self.problem.reason or found is None:
            return False
        pypi = self.spec.pypi
        lines = [asked.requirement for asked in (*pypi.dependencies, *pypi.constraints)]
        return not all(
            line.specifier.contains(found, prereleases=True)
            for line in lines
            if normalize(line.name) == package
        )

    def _breaks(self, audit: Audit, change: Change) -> tuple[Finding, ...]:
        if self.before is not None:
            return judge(self.before, audit).serious
        involved = {self.problem.package, change.package}
        return tuple(
            f
            for f in audit.findings
            if f.severity in SERIOUS
            if involved & {normalize(f.who.distribution), normalize(f.needs.provider)}
        )

    def _moved(self, trial: Trial, change: Change) -> tuple[str, ...]:
        after = trial.versions
        names = sorted({*self.versions, *after} - {change.package})
        return tuple(
            f"{name} {self.versions.get(name, '(none)')} -> {after.get(name, '(none)')}"
            for name in names
            if self.versions.get(name) != after.get(name)
        )


def ranked(weighed: Sequence[Weighed]) -> tuple[Way, ...]:
    """Return the best way of each package, best first: fewest breaks, then fewest voided pins.

    Where both are the same, one that keeps what the spec asks of a package comes first.
    Versions of a package that cost the same stand with the one nearest to what it replaces.
    """
    groups: dict[tuple[str, str, bool], list[Weighed]] = {}
    for item in weighed:
        change = item.way.change
        groups.setdefault((change.kind, change.package, item.way.yours), []).append(item)
    best = []
    for group in groups.values():
        first, *others = sorted(group, key=_cost)
        same = [o.way.change.version for o in others if _cost(o)[:3] == _cost(first)[:3]]
        way = dataclasses.replace(first.way, also=tuple(same))
        best.append(dataclasses.replace(first, way=way))
    return tuple(item.way for item in sorted(best, key=_cost))


def _cost(item: Weighed) -> tuple[int, int, bool, int, int]:
    way = item.way
    return len(way.breaks), len(way.voids), item.yields, len(way.moved), item.far


def _first(trial: Trial, change: Change) -> str:
    """Return in one line why there is no trial, the same for versions that fail alike."""
    if trial.error is None:
        return "it could not be audited"
    lines = [line.strip() for line in trial.error.details if line.strip()]
    sentence: list[str] = []
    for line in lines or [trial.error.message]:
        if sentence and line.startswith(("and ", "And ")):
            break
        sentence.append(line)
    head, *rest = sentence
    reason = head.partition(", we can conclude")[0]
    if reason.endswith(":") and rest:  # uv lists alternatives below
        reason = f"{reason} {', '.join(rest[:_ALTERNATIVES])}"
        reason += " ..." if len(rest) > _ALTERNATIVES else ""
    return reason.replace(f"{change.package}=={change.version}", f"that {change.package}")
