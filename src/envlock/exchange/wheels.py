"""Locks in the words of tools that know nothing but wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.errors import UsageError

if TYPE_CHECKING:
    from envlock.lock.model import Artifact, Lock


def wheels_only(lock: Lock) -> tuple[Artifact, ...]:
    """Return the wheels by name; raises UsageError where a lock has none."""
    found = lock.of_kind("pypi")
    if not found:
        raise UsageError(
            f"{lock.name} has no wheels, and this is a list of those",
            hint="envlock export --help lists the other formats",
        )
    return tuple(sorted(found, key=lambda one: one.name))


def distributions(one: Artifact, lock: Lock) -> list[str]:
    """Return the wheels of the lock that a wheel requires, by name."""
    from packaging.utils import canonicalize_name

    from envlock.requirements import locked_requirement

    there = {wheel.name for wheel in lock.of_kind("pypi")}
    needed = {str(canonicalize_name(locked_requirement(text).name)) for text in one.depends}
    return sorted(needed & there - {one.name})
