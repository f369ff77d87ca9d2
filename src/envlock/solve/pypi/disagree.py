"""What packages, and lines of the spec, disagree about: found by solving with that set free."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from envlock.errors import EnvlockError, UnsatisfiableError
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
_MOST = 8
"""How many packages are set free before the search gives up."""
_TRIED = 6
"""How many ways to settle everything are tried."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Requirements that no version meets together.

    name: what they are about; version: what meets those of the spec, or most of them; voided:
    the pins that it does not meet, kept: those that it does; own: the spec's lines, by section.
    """

    name: str
    version: str
    voided: Pins
    kept: Pins
    own: tuple[tuple[str, Asked], ...]

    @property
    def text(self) -> str:
        """Who wants what, in one sentence."""
        if self.own:
            field, asked = self.own[0]
            return f"pypi.{field} asks for {bare(asked.requirement)}, but {_said(self.voided)}"
        return f"{_said(self.voided)}, but {_said(self.kept)}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Looks for what the requirements of a failed ``question`` disagree about.

    ask: returns the packages that meet a question, raises EnvlockError; newest: the newest
    version that meets a requirement alone.
    """

    spec: Spec
    question: Question
    environment: Mapping[str, str]
    ask: Callable[[Question], tuple[Described, ...]]
    newest: Callable[[str], str | None]

    def explained(self, failure: UnsatisfiableError) -> UnsatisfiableError | None:
        """Return a better error than ``failure``, with an override for each conflict."""
        if failure.hint is not None:  # something is not there at all
            return None
        freed, items = self._free(failure)
        if isinstance(items, UnsatisfiableError):
            return _and_more(failure, freed, items)
        sides = [found for name in freed if (found := list(self._sides(name, items)))]
        if not sides:
            return None
        for conflicts in itertools.islice(itertools.product(*sides), _TRIED):
            if self._settles(conflicts):
                return self._error(conflicts, failure)
        return None

    def _free(
        self, failure: UnsatisfiableError
    ) -> tuple[list[str], tuple[Described, ...] | UnsatisfiableError]:
        """Set free what uv names most often, until there is a solution; return both.

        Where something else is not there at all, as its hint says, that failure is returned.
        """
        freed: list[str] = []
        while len(freed) < _MOST:
            name = self._named(failure, freed)
            if name is None:
                break
            freed.append(name)
            free = [ScopedOverride(package=None, requirement=one) for one in freed]
            try:
                return freed, self.ask(self._with(free))
            except UnsatisfiableError as other:
                if other.hint is not None:
                    return freed, other
                failure = other
            except EnvlockError:
                break
        return freed, ()

    def _named(self, failure: UnsatisfiableError, freed: Sequence[str]) -> str | None:
        """Return what uv's explanation says most often that it is needed."""
        settled = {*freed, *(override.package for override in self.spec.overrides)}
        said = map(canonicalize_name, _NEEDED.findall(" ".join(failure.details)))
        counts = Counter(str(name) for name in said if name not in settled)
        return next((name for name, _ in counts.most_common(1)), None)

    def _with(self, more: Sequence[ScopedOverride]) -> Question:
        return dataclasses.replace(self.question, overrides=(*self.question.overrides, *more))

    def _solved(self, question: Question) -> tuple[Described, ...]:
        try:
            return self.ask(question)
        except EnvlockError:
            return ()

    def _sides(self, name: str, items: Sequence[Described]) -> Iterator[Conflict]:
        """Yield ways to settle what is wanted of ``name``, none where all want the same.

        What the spec asks for holds; else the version that fewest refuse comes first, of
        several the newest.
        """
        own = tuple(
            (section, asked)
            for section, lines in (
                ("dependencies", self.spec.pypi.dependencies),
                ("constraints", self.spec.pypi.constraints),
            )
            for asked in lines
            if canonicalize_name(asked.requirement.name) == name and asked.requirement.specifier
        )
        pins = tuple(
            (item, pin)
            for item in items
            for pin in requirements_on(item, name, self.environment)
            if pin.specifier
        )
        if own:
            wanted = {self._narrowed(name, own, pins)}
        else:
            wanted = {str(pin.specifier) for _, pin in pins}
        versions = {self.newest(f"{name}{specifier}") for specifier in wanted} - {None}
        found = []
        for version in sorted(map(str, versions), key=Version, reverse=True):
            taken = [pin.specifier.contains(version, prereleases=True) for _, pin in pins]
            voided = tuple(pin for pin, takes in zip(pins, taken, strict=True) if not takes)
            kept = tuple(pin for pin, takes in zip(pins, taken, strict=True) if takes)
            if voided:
                found.append(
                    Conflict(name=name, version=version, voided=voided, kept=kept, own=own)
                )
        yield from sorted(found, key=lambda one: len(one.voided))

    def _narrowed(self, name: str, own: Sequence[tuple[str, Asked]], pins: Pins) -> str:
        """Return what the spec asks for, with the bounds of the pins that can be met besides."""
        limits = SpecifierSet()
        for _, asked in own:
            limits &= asked.requirement.specifier
        for specifier in dict.fromkeys(pin.specifier for _, pin in pins):
            if self.newest(f"{name}{limits & specifier}") is not None:
                limits &= specifier
        return str(limits)

    def _settles(self, conflicts: Sequence[Conflict]) -> bool:
        """Tell whether the overrides of all conflicts make a solution, and each is needed in it."""
        forced = [
            ScopedOverride(package=item.name, requirement=f"{one.name}=={one.version}")
            for one in conflicts
            for item, _ in one.voided
        ]
        found = {
            f"{item.name} {bare(pin)}"
            for item in self._solved(self._with(forced))
            for one in conflicts
            for pin in requirements_on(item, one.name, self.environment)
        }
        return {
            f"{item.name} {bare(pin)}" for one in conflicts for item, pin in one.voided
        } <= found

    def _error(
        self, conflicts: Sequence[Conflict], failure: UnsatisfiableError
    ) -> UnsatisfiableError:
        """Return the error that says who disagrees, and the ways out."""
        first, *others = conflicts
        ways = [
            f"change {bare(asked.requirement)} ({asked.location}): "
            f"{asked.requirement.name} {version} gets along with the rest"
            for asked, version in self._others(conflicts)
        ]
        if not ways and any(one.own for one in conflicts):
            ways.append("change these lines of the spec" if others else "change this line")
        what = " and ".join(f"{one.name} {one.version}" for one in conflicts)
        ways.append(
            f"force {what} and say why:\n"
            + proposed(self.spec, [(one.name, one.version, one.voided) for one in conflicts])
        )
        return UnsatisfiableError(
            first.text,
            where=self._place(first),
            details=[
                *(f"also {self._place(one)}: {one.text}" for one in others),
                "uv's explanation:",
                *failure.details,
            ],
            hint="; or ".join(ways),
        )

    def _place(self, conflict: Conflict) -> str:
        """Return where the spec asks for what disagrees, or the spec's name."""
        if conflict.own:
            return str(conflict.own[0][1].location)
        names = [item.name for item, _ in (*conflict.voided, *conflict.kept)]
        places: dict[str, str] = {
            canonicalize_name(asked.requirement.name): str(asked.location)
            for asked in self.spec.pypi.dependencies
        }
        return next((places[name] for name in names if name in places), self.spec.file)

    def _others(self, conflicts: Sequence[Conflict]) -> Iterator[tuple[Asked, str]]:
        """Yield lines of the spec that hold one of those who disagree, and what else would do."""
        names = {item.name for one in conflicts for item, _ in (*one.voided, *one.kept)}
        for asked in self.spec.pypi.dependencies:
            name = canonicalize_name(asked.requirement.name)
            if name not in names or not asked.requirement.specifier:
                continue
            text = str(asked.requirement)
            looser = text.replace(str(asked.requirement.specifier), "", 1)
            requirements = [looser if one == text else one for one in self.question.requirements]
            solved = self._solved(dataclasses.replace(self.question, requirements=requirements))
            version = next((item.version for item in solved if item.name == name), None)
            if version is not None:
                yield asked, version


def _and_more(
    failure: UnsatisfiableError, freed: Sequence[str], other: UnsatisfiableError
) -> UnsatisfiableError:
    """Return the error for a conflict without which there is still no solution."""
    return UnsatisfiableError(
        failure.message,
        where=failure.where,
        details=[
            *failure.details,
            f"Were {' and '.join(freed)} of no matter, there would still be this:",
            *other.details,
        ],
        hint=other.hint,
    )


def _said(pins: Pins) -> str:
    return " and ".join(f"{item.name} {item.version} requires {bare(pin)}" for item, pin in pins)
