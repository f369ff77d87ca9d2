"""Post-link scripts of conda packages: which ones a build runs, and what is left undone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.model import Artifact, Lock

_NAME = re.compile(r"[A-Za-z0-9_.+-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkScript:
    """A script that is run when all conda packages are in place; path: below the prefix."""

    package: str
    version: str
    build_number: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What a package's post-link scripts would do, and nobody does."""

    package: str
    scripts: tuple[str, ...]
    commands: tuple[str, ...]


def scripts_to_run(lock: Lock) -> tuple[LinkScript, ...]:
    """Return the scripts that the spec wants run, those of what a package needs before its own."""
    wanted = {name for name, action in _said(lock).items() if action == "run"}
    if not wanted:
        return ()
    return tuple(
        LinkScript(
            package=one.name,
            version=one.version,
            build_number=one.conda.build_number,
            path=path,
        )
        for one in _in_order(lock)
        if one.conda is not None and one.name in wanted
        for path in one.conda.post_links
    )


def undone(lock: Lock) -> Iterator[Undone]:
    """Yield what scripts would do, those that are run and those that the spec waives left out."""
    said = _said(lock)
    for one in lock.of_kind("conda"):
        if one.conda is not None and one.conda.lacks and one.name not in said:
            yield Undone(package=one.name, scripts=one.conda.post_links, commands=one.conda.lacks)


def _said(lock: Lock) -> dict[str, str]:
    """Return what the spec says is to be done, by package: ``run`` or ``skip``."""
    found: dict[str, str] = (lock.spec.get("conda") or {}).get("link-scripts") or {}
    return found


def _in_order(lock: Lock) -> list[Artifact]:
    """Return the conda packages, dependencies first; a circle is broken at its first name."""
    packages = {one.name: one for one in lock.of_kind("conda")}
    found: dict[str, Artifact] = {}
    begun: set[str] = set()
    waiting = [(name, False) for name in sorted(packages, reverse=True)]
    while waiting:
        name, done = waiting.pop()
        if done:
            found[name] = packages[name]
        elif name not in begun:
            begun.add(name)
            waiting.append((name, True))
            needs = {m[0].lower() for entry in packages[name].depends if (m := _NAME.match(entry))}
            waiting += [(one, False) for one in sorted(needs & packages.keys(), reverse=True)]
    return list(found.values())
