"""Two audits compared: what an override fixes and what it breaks."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.audit.model import SEVERITIES, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.audit.model import Audit

_COUNTED = frozenset(
    {"breaks-import", "may-break-import", "breaks-module", "breaks-call", "conditional"}
)
_BREAKING = frozenset({"breaks-import", "may-break-import", "breaks-module", "breaks-call"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What changes from the environment without an override to the one with it.

    fixes and breaks: findings that only the one or the other has, or that are worse there;
    unchanged: findings of both; newly_broken, newly_importable: modules by whether they can
    be imported: one break that hides another shows here.
    """

    fixes: tuple[Finding, ...]
    breaks: tuple[Finding, ...]
    unchanged: tuple[Finding, ...]
    newly_broken: tuple[str, ...]
    newly_importable: tuple[str, ...]

    @property
    def serious(self) -> tuple[Finding, ...]:
        """The breaks that have to be accepted by name, or not be."""
        return tuple(finding for finding in self.breaks if finding.severity in _BREAKING)


def judge(without: Audit, with_: Audit) -> Judgement:
    """Compare the audit of the natural environment with that of the overridden one."""
    before = {f.key: f for f in without.findings if f.severity in _COUNTED}
    after = {f.key: f for f in with_.findings if f.severity in _COUNTED}
    rank = {severity: place for place, severity in enumerate(SEVERITIES)}
    fixes, breaks, unchanged = [], [], []
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if new is None or (old is not None and rank[new.severity] > rank[old.severity]):
            fixes.append(old or new)
        elif old is None or rank[new.severity] < rank[old.severity]:
            breaks.append(new)
        else:
            unchanged.append(new)
    broken_before, broken_after = set(without.broken_modules), set(with_.broken_modules)
    return Judgement(
        fixes=_ordered(fixes),
        breaks=_ordered(breaks),
        unchanged=_ordered(unchanged),
        newly_broken=tuple(sorted(broken_after - broken_before)),
        newly_importable=tuple(sorted(broken_before - broken_after)),
    )


def _ordered(findings: Iterable[Finding | None]) -> tuple[Finding, ...]:
    rank = {severity: place for place, severity in enumerate(SEVERITIES)}
    present = [finding for finding in findings if finding is not None]
    return tuple(sorted(present, key=lambda f: (rank[f.severity], f.key)))


def matches(pattern: str, finding: Finding) -> bool:
    """Tell whether a pattern such as ``a.b needs c.d.name`` covers a finding.

    The left side is a module, a package or a function, or a distribution's name; the right
    side is what is needed, exactly.  Both may hold ``*``, ``?`` and ``[...]`` (fnmatch).
    """
    who, _, needs = pattern.partition(" needs ")
    who, needs = who.strip(), needs.strip()
    if not who or not needs:
        return False
    code, wanted = finding.who.code, finding.needs.dotted
    here = (
        code == who
        or code.startswith(f"{who}.")
        or finding.who.distribution == who
        or fnmatch.fnmatchcase(code, who)
    )
    return here and (wanted == needs or fnmatch.fnmatchcase(wanted, needs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Findings with the pattern that covers them, those without, and idle patterns."""

    accepted: tuple[tuple[str, Finding], ...]
    open: tuple[Finding, ...]
    unused: tuple[str, ...]


def accept(findings: Sequence[Finding], patterns: Sequence[str]) -> Acceptance:
    """Sort findings by the ``accepts`` patterns of a spec."""
    used: set[str] = set()
    accepted, rest = [], []
    for finding in findings:
        pattern = next((one for one in patterns if matches(one, finding)), None)
        if pattern is None:
            rest.append(finding)
        else:
            accepted.append((pattern, finding))
        used.update(one for one in patterns if matches(one, finding))
    return Acceptance(
        accepted=tuple(accepted),
        open=tuple(rest),
        unused=tuple(pattern for pattern in patterns if pattern not in used),
    )


def pattern_of(finding: Finding) -> str:
    """Return the pattern that covers a finding: its need, of the package's first two levels."""
    package = ".".join(finding.who.module.split(".")[:2])
    return f"{package} needs {finding.needs.dotted}"
