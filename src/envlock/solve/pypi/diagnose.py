"""Why a PyPI solve failed, found by solving again with less, and the way out as YAML."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envlock.errors import EnvlockError, OverrideError, UnsatisfiableError
from envlock.solve.pypi.disagree import Search
from envlock.solve.pypi.overrides import bare, check_override, requirements_on
from envlock.solve.pypi.proposed import proposed
from envlock.solve.pypi.unavailable import is_of_its_own, unavailable
from envlock.solve.pypi.uv import ScopedOverride

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from envlock.solve.provided import Provided
    from envlock.solve.pypi.choosing import Chosen
    from envlock.solve.pypi.metadata import Described
    from envlock.solve.pypi.uv import Question, Uv
    from envlock.spec.model import Asked, Spec

    Pin = tuple[Described, Requirement]


class ConflictError(UnsatisfiableError):
    """A line of the spec and pins of other packages exclude each other.

    package: the distribution that it is about, normalized; asked: the spec's line.
    """

    package: str
    asked: Asked


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is needed to look into a failed solve."""

    uv: Uv
    describe: Callable[[Sequence[Chosen]], tuple[Described, ...]]
    spec: Spec
    environment: Mapping[str, str]

    def explain(self, question: Question, failure: UnsatisfiableError) -> EnvlockError:
        """Return a better error than ``failure`` if a reason can be found, else ``failure``."""
        return (
            self._owned_elsewhere(question)
            or self._untrue_override(question)
            or self._unlisted_pin(question)
            or self._unavailable(question, failure)
            or self._own_requirement(question, failure)
            or self._disagreement(question, failure)
            or failure
        )

    def _solved(self, question: Question) -> tuple[Described, ...] | None:
        try:
            return self.describe(self.uv.ask(question))
        except EnvlockError:
            return None

    def _owned_elsewhere(self, question: Question) -> EnvlockError | None:
        """Ask without what conda provides: who then wants another version of it than is there?"""
        if not question.stubs:
            return None
        by_name = {stub.name: stub for stub in question.stubs}
        for asked in (*self.spec.pypi.dependencies, *self.spec.pypi.constraints):
            stub = by_name.get(canonicalize_name(asked.requirement.name))
            if stub and not asked.requirement.specifier.contains(stub.version, prereleases=True):
                return _asked_otherwise(asked, stub)
        solved = self._solved(dataclasses.replace(question, stubs=()))
        for item in solved or ():
            for stub in question.stubs:
                for pin in requirements_on(item, stub.name, self.environment):
                    if not pin.specifier.contains(stub.version, prereleases=True):
                        who = f"{item.name} {item.version}"
                        return owned_elsewhere(self._place(item.name), who, pin, stub)
        return None

    def _place(self, name: str) -> str:
        """Return where the spec asks for a distribution, or its name."""
        for asked in self.spec.pypi.dependencies:
            if canonicalize_name(asked.requirement.name) == name:
                return str(asked.location)
        return self.spec.file

    def _untrue_override(self, question: Question) -> EnvlockError | None:
        """Look at the packages without the overrides: does each one say what is true?"""
        if not self.spec.overrides:
            return None
        solved = self._solved(dataclasses.replace(question, overrides=()))
        by_name = {item.name: item for item in solved or ()}
        for override in self.spec.overrides if solved else ():
            try:
                check_override(override, by_name, self.environment)
            except OverrideError as error:
                return error
        return None

    def _unlisted_pin(self, question: Question) -> EnvlockError | None:
        """Force each override on everybody: who then disagrees should have been named."""
        if not self.spec.overrides:
            return None
        everybody = [
            ScopedOverride(package=None, requirement=f"{o.package}=={o.version}")
            for o in self.spec.overrides
        ]
        solved = self._solved(dataclasses.replace(question, overrides=everybody))
        for override in self.spec.overrides if solved else ():
            for item in solved or ():
                for pin in requirements_on(item, override.package, self.environment):
                    if item.name in override.against or pin.specifier.contains(
                        override.version, prereleases=True
                    ):
                        continue
                    lines = [f'{name}: "{claim}"' for name, claim in override.against.items()]
                    lines.append(f'{item.name}: "{bare(pin)}"')
                    return OverrideError(
                        f"the override of {override.package} would void a pin that it does "
                        f"not list: {item.name} {item.version} requires {bare(pin)}",
                        where=str(override.location),
                        hint="if that pin may be voided as well, write\n"
                        f"      against: {{{', '.join(lines)}}}",
                    )
        return None

    def _unavailable(self, question: Question, failure: UnsatisfiableError) -> EnvlockError | None:
        """Ask for each line alone that uv names: is there any file at all that meets it?"""
        said = " ".join(failure.details)
        for asked in self.spec.pypi.dependencies:
            if canonicalize_name(asked.requirement.name) not in said:
                continue
            try:
                self.uv.ask(_alone(question, str(asked.requirement)))
            except UnsatisfiableError as refusal:
                if is_of_its_own(asked, refusal, question):
                    newest = self._newest(question, asked.requirement.name)
                    return unavailable(asked, newest, refusal, question)
            except EnvlockError:
                return None
        return None

    def _own_requirement(
        self, question: Question, failure: UnsatisfiableError
    ) -> EnvlockError | None:
        """Leave out one line of the spec at a time: with which one gone is there a solution?"""
        for field, asked in self._lines():
            fewer = dataclasses.replace(
                question,
                requirements=_without(question.requirements, asked, field == "dependencies"),
                constraints=_without(question.constraints, asked, field == "constraints"),
            )
            solved = self._solved(fewer)
            if solved is None:
                continue
            name = canonicalize_name(asked.requirement.name)
            pins: list[Pin] = []
            others: list[Pin] = []
            for item in solved:
                for pin in requirements_on(item, name, self.environment):
                    fits = self._compatible(question, asked.requirement, pin)
                    (others if fits else pins).append((item, pin))
            if pins:
                return self._conflict(question, field, asked, pins, others, failure)
        return None

    def _lines(self) -> list[tuple[str, Asked]]:
        pypi = self.spec.pypi
        return [
            *(("constraints", asked) for asked in pypi.constraints),
            *(("dependencies", asked) for asked in pypi.dependencies),
        ]

    def _disagreement(self, question: Question, failure: UnsatisfiableError) -> EnvlockError | None:
        search = Search(
            spec=self.spec,
            question=question,
            environment=self.environment,
            ask=lambda other: self.describe(self.uv.ask(other)),
            newest=lambda requirement: self._newest(question, requirement),
        )
        return search.explained(failure)

    def _compatible(self, question: Question, asked: Requirement, pin: Requirement) -> bool:
        """Tell whether some version meets both."""
        both = f"{asked.name}{asked.specifier & pin.specifier}"
        return self._newest(question, both) is not None

    def _newest(self, question: Question, requirement: str) -> str | None:
        """Return the newest version that meets a requirement on the target, or None."""
        try:
            chosen = self.uv.ask(_alone(question, requirement))
        except EnvlockError:
            return None
        wanted = canonicalize_name(Requirement(requirement).name)
        return next((item.version for item in chosen if item.name == wanted), None)

    def _conflict(
        self,
        question: Question,
        field: str,
        asked: Asked,
        pins: list[Pin],
        others: list[Pin],
        failure: UnsatisfiableError,
    ) -> EnvlockError:
        name = canonicalize_name(asked.requirement.name)
        own = bare(asked.requirement)
        said = ", ".join(f"{item.name} {item.version} requires {bare(pin)}" for item, pin in pins)
        version, more = self._forced(question, asked, others)
        if version is None:
            hint = f"change or remove {own}"
        else:
            hint = f"remove {own} from pypi.{field}, or force it and say why:\n"
            hint += proposed(self.spec, [(name, version, [*pins, *more])])
        error = ConflictError(
            f"pypi.{field} asks for {own}, but {said}",
            where=str(asked.location),
            details=["uv's explanation:", *failure.details],
            hint=hint,
        )
        error.package, error.asked = name, asked
        return error

    def _forced(
        self, question: Question, asked: Asked, others: list[Pin]
    ) -> tuple[str | None, list[Pin]]:
        """Return the version to force, and which of the ``others`` it voids as well, best none."""
        wanted = asked.requirement
        limits = wanted.specifier
        for _, pin in others:
            limits &= pin.specifier
        version = self._newest(question, f"{wanted.name}{limits}")
        if version is not None:
            return version, []
        version = self._newest(question, bare(wanted))
        if version is None:
            return None, []
        return version, [
            (item, pin)
            for item, pin in others
            if not pin.specifier.contains(version, prereleases=True)
        ]


def _alone(question: Question, requirement: str) -> Question:
    return dataclasses.replace(
        question, requirements=[requirement], constraints=(), overrides=(), preferred={}
    )


def _asked_otherwise(asked: Asked, stub: Provided) -> UnsatisfiableError:
    """Return the error for a line of the spec that conda's version does not meet."""
    return UnsatisfiableError(
        f"the spec asks for {bare(asked.requirement)}, and the conda package {stub.package} "
        f"provides {stub.name} {stub.version}",
        where=str(asked.location),
        hint=f"change this line, or ask for another {stub.package} in conda.dependencies",
    )


def owned_elsewhere(where: str, who: str, pin: Requirement, stub: Provided) -> UnsatisfiableError:
    """Return the error for a requirement that conda's version of a distribution does not meet."""
    return UnsatisfiableError(
        f"{who} requires {bare(pin)}, and the conda package {stub.package} provides "
        f"{stub.name} {stub.version}",
        where=where,
        hint=f"ask for another {stub.package} in conda.dependencies, for another version of "
        "what requires it, or put a wheel in its place and say whose pins that voids:\n"
        "overrides:\n"
        f"  - package: {stub.name}\n"
        f'    version: "==<one of {bare(pin)}>"\n'
        f"    against: {{<conda package that requires {stub.package}>: <what it says>}}\n"
        f"    because: {who} needs it",
    )


def _without(requirements: Sequence[str], asked: Asked, here: bool) -> list[str]:
    text = str(asked.requirement)
    return [item for item in requirements if not (here and item == text)]
