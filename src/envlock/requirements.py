"""Do distributions' own requirements hold, but for those that overrides void?

Requirements and markers: PEP 508 and the core metadata's ``Requires-Dist``; versions: PEP 440.
An extra counts where a requirement that applies asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envlock.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from envlock.lock.model import VoidedRequirement


def parse_requirement(text: str) -> Requirement:
    """Return a requirement (PEP 508); raises InvalidRequirement for what is none.

    The library calls itself for each bracket of a marker: more of them than it can is none, too.
    """
    try:
        return Requirement(text)
    except RecursionError:
        raise InvalidRequirement("its marker has too many brackets in each other") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One installed distribution as its own METADATA describes it; location: its directory."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A requirement that applies and is not met; found: the version there, None without one."""

    dependent: str
    version: str
    requirement: str
    found: str | None

    def __str__(self) -> str:
        has = "it is not installed" if self.found is None else f"has {self.found}"
        who = f"{self.dependent} {self.version}".strip()
        return f"{who} requires {self.requirement}, {has}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of every requirement that applies.

    held: how many are met; voided: not met, as the lock says; violations: not met, and the
    lock does not know; unused: voided by the lock, and yet met or not asked for; malformed:
    one line for each requirement or version that cannot be read.
    """

    held: int
    voided: tuple[Violation, ...]
    violations: tuple[Violation, ...]
    unused: tuple[VoidedRequirement, ...]
    malformed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.violations and not self.malformed


def check_requirements(
    installed: Sequence[Installed],
    environment: Mapping[str, str],
    *,
    voided: Sequence[VoidedRequirement] = (),
    roots: Iterable[str] = (),
) -> Verdict:
    """Check every ``Requires-Dist`` of ``installed`` against what is there.

    environment: PEP 508's variables of the target; roots: requirements of the environment
    itself, which must hold, too, and decide the extras that are wanted.
    """
    return _Check(installed, environment).verdict(voided, roots)


def applying(
    installed: Sequence[Installed], environment: Mapping[str, str], roots: Iterable[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Return the requirements of each distribution that apply, by normalized name, sorted."""
    return _Check(installed, environment).applying(roots)


class _Check:
    def __init__(self, installed: Sequence[Installed], environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._malformed: list[str] = []
        self._dependents: dict[str, tuple[Installed, list[Requirement]]] = {}
        self._versions: dict[str, str] = {}
        for item in installed:
            name = canonicalize_name(item.name)
            if name not in self._dependents:  # the first on the path is the one imported
                self._dependents[name] = (item, self._parse(item))
                self._versions[name] = item.version

    def verdict(self, voided: Sequence[VoidedRequirement], roots: Iterable[str]) -> Verdict:
        roots = list(roots)
        extras = self._extras(roots)
        known = {_key(void.dependent, void.requirement): void for void in voided}
        used: set[tuple[str, str, str]] = set()
        allowed: list[Violation] = []
        violations = self._unmet_roots(roots)
        held = 0
        for name in sorted(self._dependents):
            item, requirements = self._dependents[name]
            for requirement in requirements:
                if not self._applies(requirement, extras[name]):
                    continue
                if self._holds(requirement):
                    held += 1
                    continue
                violation = self._violation(item, requirement)
                key = _key(name, str(requirement))
                if key in known:
                    used.add(key)
                    allowed.append(violation)
                else:
                    violations.append(violation)
        return Verdict(
            held=held,
            voided=tuple(allowed),
            violations=tuple(violations),
            unused=tuple(void for key, void in known.items() if key not in used),
            malformed=tuple(self._malformed),
        )

    def _unmet_roots(self, roots: Iterable[str]) -> list[Violation]:
        """Return what the environment itself asks for and does not get."""
        spec = Installed(name="the spec", version="")
        parsed = [Requirement(text) for text in roots if _is_requirement(text)]
        return [
            self._violation(spec, requirement)
            for requirement in parsed
            if self._applies(requirement, set()) and not self._holds(requirement)
        ]

    def applying(self, roots: Iterable[str]) -> dict[str, tuple[str, ...]]:
        extras = self._extras(roots)
        return {
            name: tuple(sorted({str(r) for r in requirements if self._applies(r, extras[name])}))
            for name, (_, requirements) in self._dependents.items()
        }

    def _parse(self, item: Installed) -> list[Requirement]:
        requirements = []
        try:
            Version(item.version)
        except InvalidVersion:
            self._malformed.append(f"{item.name} has the version {item.version!r}, not PEP 440's")
        for text in item.requires:
            try:
                requirements.append(parse_requirement(text))
            except InvalidRequirement as error:
                self._malformed.append(
                    f"{item.name} {item.version} requires {text[:200]!r}: "
                    f"{str(error).splitlines()[0]}"
                )
        return requirements

    def _extras(self, roots: Iterable[str]) -> dict[str, set[str]]:
        """Return the extras asked of each distribution, followed until nothing is added."""
        extras: dict[str, set[str]] = {name: set() for name in self._dependents}
        queue = [*self._dependents]
        for text in roots:
            try:
                self._ask(parse_requirement(text), set(), extras, queue)
            except InvalidRequirement as error:
                self._malformed.append(f"the spec requires {text!r}: {error}")
        while queue:
            name = queue.pop()
            for requirement in self._dependents[name][1]:
                self._ask(requirement, extras[name], extras, queue)
        return extras

    def _ask(
        self,
        requirement: Requirement,
        active: set[str],
        extras: dict[str, set[str]],
        queue: list[str],
    ) -> None:
        name = canonicalize_name(requirement.name)
        if name in extras and self._applies(requirement, active):
            new = requirement.extras - extras[name]
            if new:
                extras[name] |= new
                queue.append(name)

    def _applies(self, requirement: Requirement, extras: set[str]) -> bool:
        if requirement.marker is None:
            return True
        return any(
            requirement.marker.evaluate({**self._environment, "extra": extra})
            for extra in ("", *extras)
        )

    def _holds(self, requirement: Requirement) -> bool:
        version = self._versions.get(canonicalize_name(requirement.name))
        if version is None:
            return False
        try:
            return requirement.specifier.contains(version, prereleases=True)
        except InvalidVersion:
            return not requirement.specifier

    def _violation(self, item: Installed, requirement: Requirement) -> Violation:
        bare = Requirement(str(requirement))
        bare.marker = None
        return Violation(
            dependent=item.name,
            version=item.version,
            requirement=str(bare),
            found=self._versions.get(canonicalize_name(requirement.name)),
        )


def locked_requirement(text: str) -> Requirement:
    """Return a requirement that stands in a lock; raises LockError for what is none (PEP 508)."""
    try:
        return parse_requirement(text)
    except InvalidRequirement:
        raise LockError(
            f"the lock has {text[:80]!r} where a requirement belongs",
            hint="a lock is written by envlock solve; solve again",
        ) from None


def _is_requirement(text: str) -> bool:
    try:
        parse_requirement(text)
    except InvalidRequirement:
        return False
    return True


def _key(dependent: str, requirement: str) -> tuple[str, str, str]:
    """Return what makes two voided requirements the same one; markers do not matter."""
    try:
        parsed = parse_requirement(requirement)
    except InvalidRequirement:
        return canonicalize_name(dependent), requirement, ""
    wanted = parsed.url or str(parsed.specifier)
    return canonicalize_name(dependent), canonicalize_name(parsed.name), wanted
