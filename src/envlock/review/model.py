"""What a review finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.audit import Audit, Finding, Judgement
    from envlock.lock.model import Artifact
    from envlock.spec.model import Accepts, Override


@dataclass(frozen=True, slots=True, kw_only=True)
class Natural:
    """What would be locked without some overrides.

    artifacts: conda packages and wheels, empty where there is no solution; reason: why there
    is none, in the solver's words, empty where there is one; missing: what could not be read
    to tell, empty where nothing is missing.
    """

    artifacts: tuple[Artifact, ...] = ()
    reason: str = ""
    missing: str = ""

    @property
    def solved(self) -> bool:
        return not self.reason and not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideReview:
    """One override, judged by leaving it out alone.

    version: of the package without the override, None where it would not be there at all
    or where nothing can be solved without it; judgement: from there to the locked set.  Of
    an override without a natural solution it holds, as breaks, every serious finding that
    the forced package takes part in.  distributions: what the forced package brings.
    """

    override: Override
    natural: Natural
    version: str | None
    judgement: Judgement
    distributions: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """What one ``accepts`` line covers; override: the package it stands under, if any."""

    override: str | None
    accepts: Accepts
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The audit of the locked set, and what its overrides have to do with it.

    together: without all overrides at once, where there are several and each way has a
    solution; joint: breaks that no override causes alone; accepted: what the spec's lines
    cover; unused: lines that cover nothing; required: findings because of which a
    distribution that the spec asks for cannot be imported, and which no override causes;
    elsewhere: the same for other distributions.  ``required`` and ``elsewhere`` leave out
    what is accepted.
    """

    audit: Audit
    overrides: tuple[OverrideReview, ...]
    together: Judgement | None
    joint: tuple[Finding, ...]
    accepted: tuple[Covered, ...]
    unused: tuple[Covered, ...]
    required: tuple[Finding, ...]
    elsewhere: tuple[Finding, ...]
    requested: frozenset[str]

    def open_of(self, item: OverrideReview) -> tuple[Finding, ...]:
        """Return the breaks of an override that nobody accepted."""
        covered = set(self.keys_of(item.override.package))
        return tuple(f for f in item.judgement.serious if f.key not in covered)

    @property
    def open_joint(self) -> tuple[Finding, ...]:
        """The breaks of all overrides together that nobody accepted."""
        covered = {finding.key for line in self.accepted for finding in line.findings}
        return tuple(finding for finding in self.joint if finding.key not in covered)

    @property
    def open(self) -> tuple[Finding, ...]:
        """Everything that has to be accepted, or not be."""
        every = [f for item in self.overrides for f in self.open_of(item)]
        found = {f.key: f for f in (*every, *self.open_joint, *self.required)}
        return tuple(found.values())

    def keys_of(self, package: str | None) -> Iterator[str]:
        """Yield the keys of what the lines under an override (None: the spec's own) cover."""
        for line in self.accepted:
            if line.override == package:
                yield from (finding.key for finding in line.findings)
