"""What could be changed about a problem, most promising first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envlock.advise.change import pins_against
from envlock.advise.model import Change
from envlock.advise.versions import chosen_versions, distance, usable_versions
from envlock.errors import FetchError
from envlock.solve.pypi.choosing import wheel_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from envlock.advise.model import Problem
    from envlock.advise.trial import Lab
    from envlock.lock.model import Artifact
    from envlock.spec.model import Spec


_PINNERS = 2
"""Of how many distributions with pins other versions are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A change of ``spec``; far: how many versions it is from the one it replaces."""

    spec: Spec
    change: Change
    far: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where candidates come from.

    spec: as it is; free: without what the problem is about, for other versions of its users;
    artifacts: a solution that says which versions and pins there are, without the override.
    """

    spec: Spec
    free: Spec
    problem: Problem
    artifacts: Sequence[Artifact]

    @property
    def wheels(self) -> tuple[Artifact, ...]:
        return tuple(artifact for artifact in self.artifacts if artifact.kind == "pypi")

    def version(self, name: str) -> str | None:
        """Return the version of a distribution that is a wheel."""
        return next((a.version for a in self.wheels if a.name == name), None)

    def is_conda(self, name: str) -> bool:
        """Tell whether a conda package is what is meant, or brings the distribution."""
        return any(
            name == a.name or name in dict(a.distributions) for a in self.artifacts if a.conda
        )

    def bringers(self, name: str) -> tuple[str, ...]:
        """Return what the spec asks for, at some versions only, that brings a distribution along.

        Only those are told that are nearest to it; none where the spec has a line for ``name``.
        """
        asked = [item.requirement for item in self.spec.pypi.dependencies]
        lines = {str(canonicalize_name(line.name)): bool(line.specifier) for line in asked}
        needs = {
            wheel.name: {canonicalize_name(Requirement(text).name) for text in wheel.depends}
            for wheel in self.wheels
        }
        level, seen = {name}, {name}
        while level and not level & lines.keys():
            level = {who for who, needed in needs.items() if needed & level} - seen
            seen |= level
        return tuple(sorted(who for who in level - {name} if lines.get(who)))

    def source(self, name: str) -> str:
        """Return the index that a distribution is taken from."""
        bound = {package: index.name for index in self.spec.indexes for package in index.packages}
        found = next((a.source for a in self.wheels if a.name == name), "pypi")
        return bound.get(name, found)


@dataclass(slots=True)
class Candidates:
    """Makes candidates for one problem; notes what it could not look at in ``skipped``."""

    ground: Ground
    lab: Lab
    skipped: list[str] = field(default_factory=list)

    def all(self) -> Iterator[Candidate]:
        """Yield candidates: users, the forced package, those whose pins are in the way.

        What the spec pins and brings one of them along comes before it.
        """
        problem = self.ground.problem
        drops = problem.override.package if problem.override else ""
        if drops or self.ground.free is not self.ground.spec:
            yield Candidate(
                spec=self.ground.free,
                change=Change(kind="drop", package=problem.package, version="", drops=drops),
            )
        users = self._with_bringers(problem.users)
        for user in users:
            yield from self._required(user, self.ground.free, drops)
        forced = list(self._forced(problem.package, drops)) if problem.package else []
        yield from forced
        for dependent in self._with_bringers(self._dependents(forced)):
            if dependent not in users:
                yield from self._required(dependent, self.ground.spec, drops)

    def _with_bringers(self, names: Sequence[str]) -> list[str]:
        """Put before each name the lines of the spec that hold it where it is."""
        found = (one for name in names for one in (*self.ground.bringers(name), name))
        return list(dict.fromkeys(found))

    def _dependents(self, forced: Sequence[Candidate]) -> list[str]:
        """Return whose pins an override sets aside, or whose are most in the way of one."""
        problem = self.ground.problem
        if problem.override is not None:
            return sorted(problem.override.against)
        counts = Counter(name for one in forced for name in one.change.against)
        return [name for name, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0]))][:_PINNERS]

    def _required(self, name: str, spec: Spec, drops: str) -> Iterator[Candidate]:
        current = self.ground.version(name)
        if current is None:
            self._note_conda(name)
            return
        versions, chosen = self._versions(name, current)
        until = self.ground.problem.override.until if self.ground.problem.override else None
        for version in chosen:
            if (
                until is not None
                and canonicalize_name(until.name) == name
                and not (until.specifier.contains(version, prereleases=True))
            ):
                continue  # whoever wrote the override says that it is still needed there
            yield Candidate(
                spec=spec,
                change=Change(kind="require", package=name, version=version, drops=drops),
                far=distance(versions, version, current),
            )

    def _forced(self, package: str, drops: str) -> Iterator[Candidate]:
        natural = self.ground.problem.natural or self.ground.version(package)
        if natural is None or self._note_conda(package):
            return
        override = self.ground.problem.override
        versions, chosen = self._versions(package, natural)
        for version in chosen:
            if override is not None and version == override.version:
                continue
            against = pins_against(self.ground.wheels, package, version)
            if against:
                spec = self.ground.spec
                change = Change(kind="force", package=package, version=version, against=against)
            else:
                spec = self.ground.free
                change = Change(kind="require", package=package, version=version, drops=drops)
            yield Candidate(spec=spec, change=change, far=distance(versions, version, natural))

    def _note_conda(self, name: str) -> bool:
        """Note, once, that no other versions of a conda package are looked at, if it is one."""
        if self.ground.version(name) is not None or not self.ground.is_conda(name):
            return False
        note = f"other versions of {name}: a conda package; only those of wheels are searched"
        if note not in self.skipped:
            self.skipped.append(note)
        return True

    def _versions(self, name: str, current: str) -> tuple[list[str], list[str]]:
        """Return all usable versions of a distribution, and those to try."""
        spec = self.ground.spec
        try:
            files = self.lab.tools.index.files(self.ground.source(name), name)
        except FetchError as error:
            if not self.lab.tools.http.offline:
                raise
            self.skipped.append(f"other versions of {name}: {error.message}")
            return [], []
        versions = usable_versions(
            files,
            wheel_tags(spec.python, self.lab.target),
            spec.python,
            exclude_newer=spec.exclude_newer,
            current=current,
        )
        chosen, left = chosen_versions(versions, current, self.lab.limits.versions)
        if left:
            self.skipped.append(f"{left} more versions of {name}")
        return versions, chosen
