"""From hits to a verdict: one entry a vulnerability, and what the spec accepts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.advisories.match import match
from envlock.advisories.model import Verdict, Vulnerability

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from envlock.advisories.match import Hit
    from envlock.advisories.model import Advisories
    from envlock.lock.model import Lock
    from envlock.spec.model import AcceptedVulnerability


def judge(
    lock: Lock,
    advisories: Advisories,
    accepted: Sequence[AcceptedVulnerability],
    today: date,
) -> Verdict:
    """Return which locked packages are affected, and whether that is accepted.

    An entry holds up to and on its last day, ``until``.
    """
    hits, unjudged = match(lock, advisories.found)
    if lock.base is not None:
        unjudged = [*unjudged, f"what is in the base image {lock.base.reference}"]
    found = [_vulnerability(group, accepted, today) for group in _grouped(hits)]
    used = {id(entry) for one in found for entry in (one.accepted, one.expired) if entry}
    return Verdict(
        found=tuple(sorted(found, key=lambda one: (one.subject.artifact.name, one.ids))),
        unused=tuple(entry for entry in accepted if id(entry) not in used),
        unjudged=tuple(unjudged),
    )


def _grouped(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Put together what several databases say of the same thing in the same package."""
    groups: list[tuple[tuple[str, str], set[str], list[Hit]]] = []
    for hit in hits:
        subject, advisory, _ = hit
        package = (subject.artifact.sha256, subject.name)
        names = {advisory.id, *advisory.aliases}
        members = [hit]
        for group in [g for g in groups if g[0] == package and g[1] & names]:
            groups.remove(group)
            names |= group[1]
            members = group[2] + members
        groups.append((package, names, members))
    return [members for _, _, members in groups]


def _vulnerability(
    hits: Sequence[Hit], accepted: Sequence[AcceptedVulnerability], today: date
) -> Vulnerability:
    subject = hits[0][0]
    names = {name for _, advisory, _ in hits for name in (advisory.id, *advisory.aliases)}
    entries = [
        entry
        for entry in accepted
        if entry.id in names and entry.package in {None, subject.name, subject.artifact.name}
    ]
    valid = [entry for entry in entries if entry.until is None or today <= entry.until]
    fixed = dict.fromkeys(version for _, _, versions in hits for version in versions)
    return Vulnerability(
        subject=subject,
        ids=tuple(sorted(names)),
        summary=next((advisory.summary for _, advisory, _ in hits if advisory.summary), ""),
        severity=next((a.severity for _, a, _ in hits if a.severity), None),
        fixed=tuple(fixed),
        accepted=valid[0] if valid else None,
        expired=entries[0] if entries and not valid else None,
    )
