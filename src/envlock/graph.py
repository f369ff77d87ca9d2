"""Who asked for what in a lock: its packages' requirements as a graph.

PyPI's edges are the requirements that apply (PEP 508), with the extras that are asked for;
Debian's are ``Depends`` and ``Pre-Depends`` (Debian policy 7.1), conda's the match specs in
``depends``, where the lock has the package.  What wheels require of a distribution that a conda
package brings leads to that package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envlock.platforms import PLATFORMS
from envlock.requirements import Installed, applying, locked_requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.model import Artifact, Kind, Lock

Node = tuple[str, str]
"""A package: its kind and its name."""

_WORD = re.compile(r"\s*([A-Za-z0-9_][A-Za-z0-9_.+-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A requirement: of a package, or (dependent None) of the spec itself.

    requirement: as it is written; via: what part of the spec asks, as ``pypi.dependencies``;
    voided: the override, or the exclusion, that sets it aside.
    """

    dependent: Node | None
    needed: Node
    requirement: str
    via: str = ""
    voided: str = ""


class Graph:
    """The edges of a lock, by the package that is needed.

    artifacts: the lock's, by kind and name; forced: the reasons of overrides, by package.
    """

    def __init__(self, lock: Lock) -> None:
        self.artifacts: dict[Node, Artifact] = {(a.kind, a.name): a for a in lock.artifacts}
        self.forced: dict[Node, str] = _forced(lock)
        self._into: dict[Node, list[Edge]] = {}
        owners = _owners(lock)
        for edge in (*_from_spec(lock), *_pypi(lock), *self._words(lock)):
            needed = owners.get(edge.needed, edge.needed)
            self._into.setdefault(needed, []).append(edge)

    def find(self, name: str) -> list[Node]:
        """Return the locked packages that a name means, in any ecosystem's spelling."""
        normal = canonicalize_name(name)
        return [node for node in self.artifacts if node[1] in {name, normal}]

    def into(self, node: Node) -> list[Edge]:
        """Return who asks for a package: the spec first, then by name."""
        return sorted(
            self._into.get(node, ()),
            key=lambda edge: (edge.dependent is not None, edge.dependent or ("", "")),
        )

    def _words(self, lock: Lock) -> Iterator[Edge]:
        """Return the edges of the kinds whose requirements begin with a package's name."""
        kinds: tuple[Kind, ...] = tuple(
            sorted({a.kind for a in lock.artifacts if a.kind != "pypi"})
        )
        voided = {
            (void.dependent, void.requirement): f"the override of {override.package}"
            for override in lock.overrides
            for void in override.voids
            if void.kind == "conda"
        }
        for artifact in (a for kind in kinds for a in lock.of_kind(kind)):
            for text in artifact.depends:
                conda = artifact.kind == "conda"
                for name in _alternatives(text)[: 1 if conda else None]:
                    if (artifact.kind, name) in self.artifacts:
                        yield Edge(
                            dependent=(artifact.kind, artifact.name),
                            needed=(artifact.kind, name),
                            requirement=text,
                            voided=voided.get((artifact.name, text), "") if conda else "",
                        )


def _owners(lock: Lock) -> dict[Node, Node]:
    """Return the conda package of each distribution that no wheel is."""
    wheels = {("pypi", wheel.name) for wheel in lock.of_kind("pypi")}
    return {
        ("pypi", name): ("conda", package.name)
        for package in lock.of_kind("conda")
        for name, _ in package.distributions
        if ("pypi", name) not in wheels
    }


def _alternatives(text: str) -> list[str]:
    """Return the names in ``libc6 (>= 2.34) | musl``, or of ``numpy >=1.26,<3``."""
    found = (_WORD.match(part) for part in text.split("|"))
    return [match[1] for match in found if match]


def _from_spec(lock: Lock) -> Iterator[Edge]:
    """Return what the spec itself asks for."""
    for section in ("pypi", "conda"):
        for text in (lock.spec.get(section) or {}).get("dependencies", ()):
            name = _named(text, section)
            yield Edge(
                dependent=None,
                needed=(section, name),
                requirement=text,
                via=f"{section}.dependencies",
            )
    for name in (lock.spec.get("debian") or {}).get("packages", ()):
        yield Edge(dependent=None, needed=("debian", name), requirement=name, via="debian.packages")
    for override in lock.spec.get("overrides") or ():
        kind: Kind = override.get("from", "pypi")
        for text in override.get("adds") or ():
            yield Edge(
                dependent=None,
                needed=(kind, _named(text, kind)),
                requirement=text,
                via=f"the override of {override['package']} adds",
            )


def _named(text: str, section: str) -> str:
    if section == "pypi":
        return canonicalize_name(locked_requirement(text).name)
    match = _WORD.match(text.rpartition("::")[2])
    return match[1] if match else text


def _pypi(lock: Lock) -> Iterator[Edge]:
    wheels = lock.of_kind("pypi")
    installed = [Installed(name=a.name, version=a.version, requires=a.depends) for a in wheels]
    environment = PLATFORMS[lock.platform].marker_environment(lock.python)
    voided = _voided(lock)
    for dependent, requirements in applying(installed, environment, lock.roots).items():
        for text in requirements:
            requirement = locked_requirement(text)
            requirement.marker = None  # it applies: that is why it is here
            name = canonicalize_name(requirement.name)
            yield Edge(
                dependent=("pypi", dependent),
                needed=("pypi", name),
                requirement=str(requirement),
                voided=voided.get((dependent, name, str(requirement.specifier)), ""),
            )


def _forced(lock: Lock) -> dict[Node, str]:
    nodes: dict[tuple[str, str], Node] = {
        (a.kind, a.name): (a.kind, a.name) for a in lock.artifacts
    }
    overrides = lock.spec.get("overrides") or ()
    return {
        nodes[key]: str(override.get("because", ""))
        for override in overrides
        if (key := (override.get("from", "pypi"), override["package"])) in nodes
    }


def _voided(lock: Lock) -> dict[tuple[str, str, str], str]:
    """Return what sets requirements aside, by dependent, name and versions."""
    found: dict[tuple[str, str, str], str] = {}
    kinds = (("the override of", lock.overrides), ("the exclusion of", lock.excludes))
    for what, items in kinds:
        for item in items:
            for void in item.voids:
                if void.kind == "conda":  # a match spec; its edge is not a distribution's
                    continue
                requirement = locked_requirement(void.requirement)
                name = canonicalize_name(requirement.name)
                key = (canonicalize_name(void.dependent), name, str(requirement.specifier))
                found[key] = f"{what} {item.package}"
    return found
