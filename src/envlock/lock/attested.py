"""Who a locked wheel must have been published by, and whether the lock says so.

The spec section's ``require-attestations`` has an identity by the name of a distribution, or by
``*`` for all others.  Standard library only.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from envlock.lock.model import Artifact, Attested, Lock

ALL = "*"
"""Stands for every wheel that is not named."""


def required(lock: Lock) -> Iterator[tuple[Artifact, Mapping[str, str]]]:
    """Yield the wheels whose attestations are required, and who must have published each."""
    asked: dict[str, dict[str, str]] = lock.spec.get("require-attestations") or {}
    for wheel in lock.of_kind("pypi"):
        identity = asked.get(wheel.name, asked.get(ALL))
        if identity is not None:
            yield wheel, identity


def absent(lock: Lock) -> list[str]:
    """Return the names whose attestations are required and that are no locked wheel."""
    asked: dict[str, Any] = lock.spec.get("require-attestations") or {}
    return sorted({*asked} - {ALL} - {wheel.name for wheel in lock.of_kind("pypi")})


def unattested(lock: Lock) -> list[str]:
    """Return which required attestations the lock does not have, a line each."""
    lines = []
    for wheel, identity in required(lock):
        problem = "no publisher is recorded" if wheel.attested is None else ""
        problem = problem or mismatch(identity, wheel.attested)
        if problem:
            lines.append(f"{wheel.name} {wheel.version}: {problem}")
    return lines


def mismatch(identity: Mapping[str, str], attested: Attested | None) -> str:
    """Return how a publisher is not the required one; empty where it is."""
    found = plain(attested)
    for key, wanted in sorted(identity.items()):
        has = found.get(key, "")
        # GitHub, GitLab and the others name repositories whatever the letters' case
        same = has.casefold() == wanted.casefold() if key != "workflow" else has == wanted
        if not same:
            return f"its {key} is {has or 'not told'}, and {wanted} is required"
    return ""


def said(attested: Attested | None) -> str:
    """Return a publisher for people: ``GitHub pytorch/pytorch release.yml``."""
    return " ".join(plain(attested).values()) or "nobody who proves it"


def plain(attested: Attested | None) -> dict[str, str]:
    """Return a publisher as the lock has it: what is known of it, by key."""
    return {key: value for key, value in asdict(attested).items() if value} if attested else {}
