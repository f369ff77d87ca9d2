"""Findings in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from envlock.audit.model import Finding

_LEFT = {("pkg_resources", "setuptools"): "setuptools<82"}
"""Modules that newer versions of their distribution no longer have, and which ones still do."""

_PLACES = 3
"""How many further places of one need are told."""

_WHEN = {
    "breaks-import": "",
    "may-break-import": "when it is imported, perhaps",
    "breaks-module": "when this module is imported",
    "breaks-call": "when it is called",
}


def what(finding: Finding) -> str:
    """Return who needs what, and of whom, in one line."""
    needs = finding.needs
    if finding.kind == "raises":
        return f"{finding.who.code} raises {needs.name} whenever it is imported"
    thing = f"attribute {needs.dotted}" if finding.kind == "attribute-missing" else needs.dotted
    whose = {"": "which nobody here has", "stdlib": "of the standard library"}.get(
        needs.provider, f"of {needs.provider}"
    )
    if finding.severity == "undeclared":
        whose = f"of {needs.provider}, which it does not declare"
    return f"{finding.who.code} needs {thing}, {whose}"


def where(finding: Finding) -> str:
    """Return the distribution, the file and the line, which is not known of every value."""
    who = finding.who
    line = f":{who.line}" if who.line else ""
    return f"{who.distribution} {who.version}, {who.file}{line}"


def _with_it(finding: Finding) -> str:
    """Return the requirement whose versions still have a module that newer ones left out."""
    top = finding.needs.module.partition(".")[0]
    return _LEFT.get((top, finding.add or finding.needs.provider), "")


def additions(findings: Iterable[Finding]) -> list[str]:
    """Return the requirements to add for findings that tell a distribution, without doubles.

    A version is only asked for where newer ones left out what is needed.
    """
    adding = [finding for finding in findings if finding.add]
    chosen = {finding.add: finding.add for finding in adding}
    chosen |= {finding.add: text for finding in adding if (text := _with_it(finding))}
    return sorted(chosen.values())


def together(findings: Iterable[Finding], accepted: Container[str]) -> list[list[Finding]]:
    """Put findings beside each other in which the same distribution misses the same thing.

    accepted: keys of findings; those that are accepted stand apart.
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        who, needs = finding.who, finding.needs
        known = "accepted" if finding.key in accepted else ""
        key = (who.distribution, finding.kind, finding.severity, needs.dotted, known)
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def further(findings: Sequence[Finding]) -> list[str]:
    """Return what to say of the other places of a need, after the first one was told."""
    if not findings:
        return []
    places = [f"{one.who.file}:{one.who.line}" for one in findings[:_PLACES]]
    more = f" and {len(findings) - _PLACES} more" if len(findings) > _PLACES else ""
    count = f"{len(findings)} other place{'s' if len(findings) != 1 else ''}"
    return [f"    and in {count}: {', '.join(places)}{more}"]


def lines(finding: Finding, *, accepted: bool = False) -> list[str]:
    """Return a finding as lines: what, where, by which way, what to add."""
    when = _WHEN.get(finding.severity, "")
    elsewhere = finding.severity == "breaks-module" and finding.chain
    if elsewhere:
        when = f"when {finding.chain[0]} is imported, which calls it"
    found = [f"{what(finding)}{' (accepted)' if accepted else ''}"]
    found.append(f"    {where(finding)}{f'; fails {when}' if when else ''}")
    if len(finding.chain) > 1 and not elsewhere:
        found.append(f"    reached by import {' > '.join(finding.chain)}")
    if finding.add:
        found.append(f"    add: {additions([finding])[0]}")
    elif older := _with_it(finding):
        found.append(f"    {older} has it")
    return found
