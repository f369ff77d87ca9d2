"""Packages in the order in which they can be installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.lock.model import Artifact, Lock

_ENTRY = re.compile(r"\s*([A-Za-z0-9_.+-]+)\s*(.*?)\s*", re.DOTALL)


def split_entry(entry: str) -> tuple[str, str]:
    """Return (name, the rest) of an entry of a conda package's ``depends`` (CEP 29)."""
    match = _ENTRY.fullmatch(entry)
    assert match is not None, entry  # the lock came from a solver that could read it
    return match[1].lower(), match[2]


def dependencies_first(packages: Sequence[Artifact]) -> list[Artifact]:
    """Return conda packages, each behind what it depends on, by name where that leaves a choice.

    Where packages depend on each other in a circle, the one that is met first comes last.
    """
    by_name = {one.name: one for one in sorted(packages, key=lambda one: one.name)}
    found: dict[str, Artifact] = {}
    begun: set[str] = set()
    for root in by_name:
        stack = [root]
        while stack:
            name = stack[-1]
            begun.add(name)
            needed = sorted({split_entry(entry)[0] for entry in by_name[name].depends})
            missing = [one for one in needed if one in by_name and one not in begun]
            if missing:
                stack.append(missing[0])
                continue
            stack.pop()
            found.setdefault(name, by_name[name])
    return list(found.values())


def left_out(lock: Lock) -> tuple[str, ...]:
    """Return what files of conda's tools have no place for, one line each."""
    notes = []
    if lock.of_kind("debian"):
        notes.append(f"{len(lock.of_kind('debian'))} Debian packages")
    if lock.base is not None:
        notes.append(f"the base image {lock.base.reference}")
    if lock.spec.get("image", {}).keys() - {"base"}:
        notes.append("the image's settings")
    if lock.spec.get("checks") or any(o.get("checks") for o in lock.spec.get("overrides", ())):
        notes.append("the checks")
    lost = sum(len(one.gives_way) for one in lock.artifacts)
    if lost:
        notes.append(f"{lost} files that give way to other packages', which of them is kept")
    what = ", ".join(notes)
    return (f"{lock.name} {lock.platform}: left out: {what}",) if notes else ()


def channels_of(locks: Sequence[Lock]) -> list[str]:
    """Return the names of the locks' channels, in order of priority."""
    names: dict[str, None] = {}
    for lock in locks:
        names |= dict.fromkeys(lock.spec.get("conda", {}).get("channels", ()))
        names |= dict.fromkeys(one.source for one in lock.of_kind("conda"))
    return list(names)
