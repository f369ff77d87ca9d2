"""What the ``accepts`` lines of a spec cover, and what a lock keeps of it.

A line under an override covers what that override breaks, alone or together with others; a
line of the spec's own list covers what is broken without any override's doing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.audit import matches
from envlock.lock.model import AcceptedBreakage, AuditSection
from envlock.review.model import Covered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from envlock.audit import Audit, Finding
    from envlock.review.model import OverrideReview, Review
    from envlock.spec.model import Accepts, Spec

_LESSER = ("conditional", "degrades", "falls-back")


def cover(
    spec: Spec, audit: Audit, items: Sequence[OverrideReview], joint: Sequence[Finding]
) -> tuple[tuple[Covered, ...], tuple[Covered, ...]]:
    """Return the spec's lines with what they cover, and those that cover nothing."""
    visible = [
        finding
        for finding in audit.findings
        if finding.severity not in {"hidden", "undeclared"} or finding.reason == "follows"
    ]
    lines: list[Covered] = []
    caused = {finding.key for finding in joint}
    for item in items:
        own = {finding.key for finding in (*item.judgement.breaks, *joint)}
        caused |= {finding.key for finding in item.judgement.serious}
        untold = bool(item.natural.missing)
        own |= _following(visible, own)
        within = [f for f in visible if untold or f.key in own or f.severity in _LESSER]
        lines += _lines(item.override.package, item.override.accepts, within)
    caused |= _following(visible, caused)
    lines += _lines(None, spec.accepts, [f for f in visible if f.key not in caused])
    return (
        tuple(line for line in lines if line.findings),
        tuple(line for line in lines if not line.findings),
    )


def _following(visible: Sequence[Finding], keys: AbstractSet[str]) -> set[str]:
    """Return the keys of what is told together with one of some findings.

    A line that covers only such a place covers something that is broken all the same.
    """
    told = {(f.who.distribution, f.add) for f in visible if f.add and f.key in keys}
    return {f.key for f in visible if f.reason == "follows" and (f.who.distribution, f.add) in told}


def _lines(
    package: str | None, accepts: Iterable[Accepts], findings: Sequence[Finding]
) -> list[Covered]:
    return [
        Covered(
            override=package,
            accepts=line,
            findings=tuple(f for f in findings if matches(line.pattern, f)),
        )
        for line in accepts
        if not line.is_failure
    ]


def section_of(review: Review) -> AuditSection:
    """Return what the lock keeps: each line with what it covers, without line numbers."""
    accepted = [
        AcceptedBreakage(
            override=line.override,
            pattern=line.accepts.pattern,
            findings=tuple(
                sorted({f"{f.severity} {f.text}" for f in line.findings if not f.reason})
            ),
        )
        for line in review.accepted
    ]
    return AuditSection(
        accepted=tuple(sorted(accepted, key=lambda a: (a.override or "", a.pattern)))
    )
