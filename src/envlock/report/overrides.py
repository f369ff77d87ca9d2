"""Overrides as cards: what the spec says of them, what they did, and how they were proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.lock.accepts import is_failure
from envlock.report.model import Accepted, Card, Checked
from envlock.report.words import anchor
from envlock.validate.inside import shell_quoted
from envlock.validate.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from envlock.lock.model import Lock
    from envlock.lock.proof import Proof


def cards(lock: Lock, proof: Proof | None) -> tuple[Card, ...]:
    """Return a card for each override of the spec."""
    return tuple(_card(lock, item, proof) for item in lock.spec.get("overrides") or ())


def _card(lock: Lock, item: Mapping[str, Any], proof: Proof | None) -> Card:
    package, kind = str(item["package"]), str(item.get("from", "pypi"))
    locked = next((o for o in lock.overrides if (o.kind, o.package) == (kind, package)), None)
    return Card(
        package=package,
        version=str(item["version"]).removeprefix("=="),
        kind=kind,
        ref=anchor(kind, package),
        because=str(item.get("because", "")),
        against=tuple((str(who), str(pin)) for who, pin in (item.get("against") or {}).items()),
        voids=tuple(
            (f"{void.dependent} {void.version}", void.requirement)
            for void in (locked.voids if locked else ())
        ),
        replaces=(locked.replaces if locked else None) or "",
        adds=tuple(map(str, item.get("adds") or ())),
        until=str(item.get("until") or ""),
        accepts=_accepted(lock, item.get("accepts") or (), package),
        checks=checked(item.get("checks") or (), proof, package),
    )


def environment_accepts(lock: Lock) -> tuple[Accepted, ...]:
    """Return what the spec accepts that no override causes."""
    return _accepted(lock, lock.spec.get("accepts") or (), None)


def _accepted(lock: Lock, patterns: Iterable[str], override: str | None) -> tuple[Accepted, ...]:
    known = {
        (line.override, line.pattern): line.findings
        for line in (lock.audit.accepted if lock.audit else ())
    }
    return tuple(
        Accepted(
            pattern=pattern,
            findings=known.get((override, pattern), ()),
            is_check=is_failure(pattern),
        )
        for pattern in patterns
    )


def checked(
    checks: Iterable[Mapping[str, Any]], proof: Proof | None, override: str | None
) -> tuple[Checked, ...]:
    """Return checks with what a proof says of them."""
    return tuple(_checked(check, proof, override) for check in checks)


def _checked(check: Mapping[str, Any], proof: Proof | None, override: str | None) -> Checked:
    ((kind, value),) = check.items()
    words = shell_quoted(tuple(map(str, value))) if isinstance(value, list) else str(value)
    subjects = {clean(text) for text in (words, f"{kind} {words}", f"{kind} is {words}")}
    for seen in proof.checks if proof is not None else ():
        if seen.kind == kind and seen.override == override and seen.subject in subjects:
            return Checked(text=f"{kind} {words}", status=seen.status, reason=seen.reason or "")
    return Checked(text=f"{kind} {words}", status="", reason="")
