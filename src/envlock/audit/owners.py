"""Wheels and conda packages together: one owner for each distribution.

A conda package may bring several distributions, one, or none.  A wheel of the same name takes
the place of a package's copy of it: the modules that the copy's RECORD lists are not there.
What a package needs is declared by the METADATA of its distributions, and by conda's
``depends``, which name packages: these stand for the distributions that they bring.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from envlock.audit.index.model import Distribution, WheelIndex
from envlock.audit.model import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def owned(indexes: Iterable[WheelIndex]) -> list[WheelIndex]:
    """Return an index for each distribution, sorted by normalized name.

    Modules that no distribution of their package lists belong to the only one that it brings,
    or else to one with the package's own name.
    """
    found: list[WheelIndex] = []
    packages: list[WheelIndex] = []
    for index in indexes:
        (packages if index.package else found).append(index)
    taken = {normalize(index.name) for index in found}
    depends = _Depends(packages)
    for package in packages:
        found += _split(replace(package, declares=depends.of(package)), taken)
    return sorted(found, key=lambda index: normalize(index.name))


def _split(package: WheelIndex, taken: set[str]) -> list[WheelIndex]:
    """Return a package's distributions as indexes, without those that are ``taken``."""
    brought = package.distributions
    loose = set(package.modules).difference(*(one.modules for one in brought))
    kept = [one for one in brought if normalize(one.name) not in taken]
    heir = _heir(package, brought)
    found = []
    for one in kept:
        own = set(one.modules)
        if one is heir:
            own |= loose
            loose = set()
        found.append(_part(package, one, own))
    if loose:
        name = package.name if normalize(package.name) not in taken else f"{package.name}-conda"
        found.append(_part(package, Distribution(name=name, version=package.version), loose))
    if found:  # what is the whole package's is told once
        points = package.entry_points if kept == list(brought) else ()  # as the builder has it
        found[0] = replace(
            found[0],
            pth=package.pth,
            paths=package.paths,
            entry_points=(*points, *found[0].entry_points),
            notes=package.notes,
        )
    return found


def _heir(package: WheelIndex, brought: Sequence[Distribution]) -> Distribution | None:
    """Return the distribution that modules without an owner belong to."""
    if len(brought) == 1:
        return brought[0]
    named = [one for one in brought if normalize(one.name) == normalize(package.name)]
    return named[0] if named else None


def _part(package: WheelIndex, one: Distribution, own: set[str]) -> WheelIndex:
    whole = len(own) == len(package.modules)
    return replace(
        package,
        name=one.name,
        version=one.version,
        requires=one.requires,
        extras=one.extras,
        modules={name: entry for name, entry in package.modules.items() if name in own},
        namespaces=tuple(
            space
            for space in package.namespaces
            if whole or any(name.startswith(f"{space}.") for name in own)
        ),
        pth=(),
        paths=(),
        entry_points=one.entry_points,
        notes=(),
        distributions=(),
    )


class _Depends:
    """What conda's ``depends`` bring along, packages without any distribution included."""

    def __init__(self, packages: Sequence[WheelIndex]) -> None:
        self._packages = {package.package: package for package in packages}

    def of(self, package: WheelIndex) -> tuple[str, ...]:
        """Return the distributions that a package's dependencies bring, normalized."""
        found: set[str] = set()
        seen, queue = {package.package}, [package.package]
        while queue:
            for name in self._packages[queue.pop()].depends:
                if name in seen:
                    continue
                seen.add(name)
                if name in self._packages:
                    queue.append(name)
                    found |= _names(self._packages[name])
                else:
                    found.add(normalize(name))  # nobody can tell, and most are called alike
        return tuple(sorted(found))


def _names(package: WheelIndex) -> set[str]:
    return {normalize(one.name) for one in package.distributions} or {normalize(package.name)}
