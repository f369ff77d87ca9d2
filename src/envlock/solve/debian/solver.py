"""Choose packages with libsolv under Debian's rules.

What can be reached from the asked packages is collected here; :mod:`.pool` feeds it to libsolv.
Debian policy 7 (relationships); the Multi-Arch specification for qualifiers.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from envlock.errors import UnsatisfiableError, UsageError
from envlock.solve.debian.fields import NAME, parse_clause
from envlock.solve.debian.pool import Candidate, Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.solve.debian.fields import Relation
    from envlock.solve.debian.packages import DebianPackage, PackageIndex

BASE = ("base-files", "base-passwd", "dash", "libc-bin")
"""Asked for in every image.  Packages need not declare dependencies on Essential ones (policy
3.8), and these four are what a minimal root cannot do without: its folders, its users, ``/bin/sh``
(``system()`` and ``#!/bin/sh``) and ``ldconfig``.  All of Essential would bring dpkg, apt's tools
and perl into images that never use them."""

_PYTHON = re.compile(r"(?:lib)?python(3\.\d+)(?:-.*)?")
_PRIORITIES = {"required": 0, "important": 1, "standard": 2, "optional": 3, "extra": 3}


def choose(
    index: PackageIndex, asked: Sequence[str], exclude: Iterable[str], architecture: str
) -> list[DebianPackage]:
    """Return the packages to install for ``asked`` and :data:`BASE`, sorted by name.

    ``exclude``: names left out although something depends on them.  Raises UnsatisfiableError,
    UsageError for a name that is both asked for and excluded.
    """
    excluded = set(exclude)
    both = sorted(excluded & set(asked))
    if both:
        raise UsageError(f"asked for and excluded at the same time: {', '.join(both)}")
    wanted = sorted({*asked, *BASE} - excluded)
    _check_known(index, wanted)
    met = excluded | _provided_by(index, excluded)
    fed = _reachable(index, wanted, met, excluded)
    return Pool(fed, architecture).solve(wanted, asked)


def _check_known(index: PackageIndex, wanted: Iterable[str]) -> None:
    """Fail for names that the archive does not have, with what was perhaps meant."""
    unknown = [name for name in wanted if not index.versions(name)]
    if not unknown:
        return
    hints = []
    for name in unknown:
        if not NAME.fullmatch(name):
            hints.append(f"{name!r} is not a package name: names only, no versions")
        elif providers := index.providers(name):
            hints.append(f"{name} is a virtual package; ask for one of: {', '.join(providers)}")
        elif pythons := _other_python(index, name):
            hints.append(pythons)
        elif close := get_close_matches(name, list(index.names), n=3, cutoff=0.75):
            hints.append(f"did you mean {' or '.join(close)} instead of {name}?")
    raise UnsatisfiableError(
        f"the Debian suite has no package named {' or '.join(unknown)}",
        hint="; ".join(dict.fromkeys(hints)) or "check the name, the suite and the components",
    )


def _other_python(index: PackageIndex, name: str) -> str:
    """Return where to get a Python that the suite does not have; empty for other packages."""
    named = _PYTHON.fullmatch(name)
    own = index.versions("python3") if named else ()
    found = ".".join(own[0].version.split(".")[:2]) if own else ""
    if named is None or found in ("", named[1]):
        return ""
    return (
        f"the suite's Python is {found}: write that in python: and here, choose another suite, "
        "or take Python from conda (python in conda.dependencies) or a base image (image.base)"
    )


def _provided_by(index: PackageIndex, names: Iterable[str]) -> set[str]:
    """Return every name that some version of ``names`` provides."""
    packages = (package for name in names for package in index.versions(name))
    return {parse_clause(clause)[0].name for package in packages for clause in package.provides}


def _unmet(package: DebianPackage, met: set[str]) -> tuple[tuple[Relation, ...], ...]:
    """Return the clauses that the solver has to meet, without those an excluded package meets."""
    clauses = (parse_clause(clause) for clause in package.depends)
    return tuple(c for c in clauses if not any(relation.name in met for relation in c))


def _reachable(
    index: PackageIndex, wanted: Sequence[str], met: set[str], excluded: set[str]
) -> list[Candidate]:
    """Return all versions of all packages that could possibly be chosen, in a fixed order."""
    seen: set[str] = set()
    found: list[Candidate] = []
    queue = list(wanted)
    while queue:
        name = queue.pop()
        for real in (name, *index.providers(name)):
            if real in seen or real in excluded:
                continue
            seen.add(real)
            fed = [Candidate(package, _unmet(package, met)) for package in index.versions(real)]
            queue += [r.name for one in fed for clause in one.requires for r in clause]
            found += fed
    return sorted(found, key=lambda one: _order(one.package))


def _order(package: DebianPackage) -> tuple[int, str, str]:
    return _PRIORITIES.get(package.priority, 3), package.name, package.version
