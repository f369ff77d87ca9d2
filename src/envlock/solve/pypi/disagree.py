"""Two packages that want different versions of a third, found by solving with that one free."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from envlock.errors import UnsatisfiableError
from envlock.solve.pypi.overrides import bare, requirements_on
from envlock.solve.pypi.proposed import proposed
from envlock.solve.pypi.uv import ScopedOverride

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from envlock.solve.pypi.metadata import Described
    from envlock.solve.pypi.uv import Question
    from envlock.spec.model import Asked, Spec

    Pins = tuple[tuple[Described, Requirement], ...]

_NEEDED = re.compile(r"depends? on ([A-Za-z0-9][\w.-]*)")
_TRIED = 4
"""Of how many packages that uv names it is asked whether they are what others disagree about."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """Pins that no version meets together.

    name: what they are about; version: what meets most of them; voided: those that it does not
    meet, kept: those that it does; others: lines of the spec, each with the version that gets
    along with all the rest, were the line without its own.
    """

    spec: Spec
    name: str
    version: str
    voided: Pins
    kept: Pins
    others: Sequence[tuple[Asked, str]]

    def error(self, where: str, failure: UnsatisfiableError) -> UnsatisfiableError:
        """Return the error that says who disagrees, and both ways out."""
        ways = [
            f"change {bare(asked.requirement)} ({asked.location}): "
            f"{asked.requirement.name} {version} gets along with the rest"
            for asked, version in self.others
        ]
        ways.append(
            f"force {self.name} {self.version} and say why:\n"
            + proposed(self.spec, self.name, self.version, self.voided)
        )
        return UnsatisfiableError(
            f"{_said(self.voided)}, but {_said(self.kept)}",
            where=where,
            details=["uv's explanation:", *failure.details],
            hint="; or ".join(ways),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Looks for what packages of a failed ``question`` disagree about.

    solved: the packages that meet a question, None where there are none; newest: the newest
    version that meets a requirement alone.
    """

    spec: Spec
    question: Question
    environment: Mapping[str, str]
    solved: Callable[[Question], tuple[Described, ...] | None]
    newest: Callable[[str], str | None]

    def disagreement(self, failure: UnsatisfiableError) -> Disagreement | None:
        """Free one package after the other that ``failure`` tells of: with which does it solve?"""
        for name in self._named(failure):
            free = self._with(ScopedOverride(package=None, requirement=name))
            pins = self._pins(self.solved(free) or (), name)
            for version, voided, kept in self._sides(name, pins):
                forced = [
                    ScopedOverride(package=item.name, requirement=f"{name}=={version}")
                    for item, _ in voided
                ]
                found = self.solved(self._with(*forced))
                if found is not None and set(_texts(voided)) <= set(
                    _texts(self._pins(found, name))
                ):
                    return Disagreement(
                        spec=self.spec,
                        name=name,
                        version=version,
                        voided=voided,
                        kept=kept,
                        others=list(self._others((*voided, *kept))),
                    )
        return None

    def _named(self, failure: UnsatisfiableError) -> list[str]:
        """Return what uv's explanation says is needed, what it says most often first."""
        settled = {override.package for override in self.spec.overrides}
        said = map(canonicalize_name, _NEEDED.findall(" ".join(failure.details)))
        counts = Counter(str(name) for name in said if name not in settled)
        return [name for name, _ in counts.most_common(_TRIED)]

    def _with(self, *more: ScopedOverride) -> Question:
        return dataclasses.replace(self.question, overrides=(*self.question.overrides, *more))

    def _pins(self, items: Sequence[Described], name: str) -> Pins:
        return tuple(
            (item, pin)
            for item in items
            for pin in requirements_on(item, name, self.environment)
            if pin.specifier
        )

    def _sides(self, name: str, pins: Pins) -> Iterator[tuple[str, Pins, Pins]]:
        """Yield versions that one of the pins wants, with who refuses and who takes them.

        The one that fewest refuse comes first, of several the newest.
        """
        found = {self.newest(f"{name}{pin.specifier}") for pin in dict.fromkeys(p for _, p in pins)}
        sides = []
        for version in found - {None}:
            assert version is not None
            taken = [pin.specifier.contains(version, prereleases=True) for _, pin in pins]
            voided = tuple(pin for pin, takes in zip(pins, taken, strict=True) if not takes)
            kept = tuple(pin for pin, takes in zip(pins, taken, strict=True) if takes)
            if voided:
                sides.append((version, voided, kept))
        yield from sorted(sides, key=lambda side: (-len(side[1]), Version(side[0])), reverse=True)

    def _others(self, pins: Pins) -> Iterator[tuple[Asked, str]]:
        """Yield lines of the spec that hold one of those who disagree, and what else would do."""
        names = {item.name for item, _ in pins}
        for asked in self.spec.pypi.dependencies:
            name = canonicalize_name(asked.requirement.name)
            if name not in names or not asked.requirement.specifier:
                continue
            text = str(asked.requirement)
            looser = text.replace(str(asked.requirement.specifier), "", 1)
            requirements = [looser if one == text else one for one in self.question.requirements]
            solved = self.solved(dataclasses.replace(self.question, requirements=requirements))
            version = next((item.version for item in solved or () if item.name == name), None)
            if version is not None:
                yield asked, version


def _texts(pins: Pins) -> list[str]:
    return [f"{item.name} {bare(pin)}" for item, pin in pins]


def _said(pins: Pins) -> str:
    return " and ".join(f"{item.name} {item.version} requires {bare(pin)}" for item, pin in pins)
