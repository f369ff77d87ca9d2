"""What other tools' files say, in a spec's words; not solved, and not yet YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envlock.errors import Location, SpecError, UsageError
from envlock.requirements import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_LAST = {"<": 1, "<=": 1, "!=": 2}
"""Where operators stand in a requirement that reads well: lower bounds come first."""

SECRET_NAME = re.compile(r"(?i)(?:^|_)(?:token|secret|passw(?:or)?d|api_?key|credentials?)(?:_|$)")
"""Names of variables whose values are nobody's business."""

_Value = TypeVar("_Value", str, str | None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A match spec or a requirement (PEP 508), and where it stands.

    name: normalized as its own world does; channel: asked for by name.
    """

    text: str
    name: str
    where: str
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something of a file that the spec does not say, or says otherwise."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced:
    """A version that a file forces on the others.

    because: what the file says of it, or nothing; against: whose requirement it breaks, and
    what that says; empty where it is not known yet.
    """

    package: str
    version: str
    where: str
    because: str = ""
    against: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Draft:
    """What was read so far; lists keep the files' order.

    channels: name to URL, None where the name is enough; pythons: match specs or PEP 440
    specifiers of Python, each with its place and whether it is a match spec; cuda: version of
    the virtual package; index_packages: what is taken from an index and from no other; debian:
    packages of the OS layer besides Python; checks: modules to import, or commands.
    """

    name: str | None = None
    platforms: list[str] = field(default_factory=list)
    pythons: list[tuple[str, str, bool]] = field(default_factory=list)
    channels: dict[str, str | None] = field(default_factory=dict)
    conda: list[Item] = field(default_factory=list)
    conda_constraints: list[Item] = field(default_factory=list)
    pypi: list[Item] = field(default_factory=list)
    pypi_constraints: list[Item] = field(default_factory=list)
    indexes: dict[str, str] = field(default_factory=dict)
    index_packages: dict[str, list[str]] = field(default_factory=dict)
    exclude: list[str] = field(default_factory=list)
    forced: list[Forced] = field(default_factory=list)
    debian: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    workdir: str | None = None
    command: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    checks: list[str | list[str]] = field(default_factory=list)
    cuda: str | None = None
    notes: list[Note] = field(default_factory=list)

    def note(self, where: object, text: str) -> None:
        """Remember what could not be carried over."""
        self.notes.append(Note(where=str(where), text=text))

    def want_cuda(self, version: str, where: object, text: str) -> None:
        """Take a version of CUDA, the newest of several; text: what is told of it."""
        if self.cuda is None or _numbers(self.cuda) < _numbers(version):
            self.cuda = version
            self.note(where, f"cuda: {version} is taken from {text}")

    def add(self, other: Draft) -> None:
        """Take over what another file says; raises UsageError where two contradict."""
        self.name = self.name or other.name
        for field_ in ("platforms", "pythons", "notes", "exclude", "forced", "debian", "checks"):
            mine = getattr(self, field_)
            mine.extend(item for item in getattr(other, field_) if item not in mine)
        for field_ in ("user", "workdir", "command", "entrypoint", "cuda"):
            setattr(self, field_, getattr(self, field_) or getattr(other, field_))
        for field_ in ("conda", "conda_constraints", "pypi", "pypi_constraints"):
            getattr(self, field_).extend(getattr(other, field_))
        _merge(self.channels, other.channels, "the channel")
        _merge(self.indexes, other.indexes, "the index")
        _merge(self.env, other.env, "the variable")
        _merge(self.labels, other.labels, "the label")
        for name, packages in other.index_packages.items():
            self.index_packages.setdefault(name, []).extend(packages)

    def check(self) -> None:
        """Refuse what has two owners, drop what is said twice; raises UsageError."""
        self._without_forced()
        self.conda = once(self.conda)
        self.conda_constraints = once(self.conda_constraints)
        self.pypi = once(self.pypi)
        self.pypi_constraints = once(self.pypi_constraints)
        check_owners([*self.conda, *self.conda_constraints], [*self.pypi, *self.pypi_constraints])

    def _without_forced(self) -> None:
        """Drop the lines about packages whose version is forced: the override says it."""
        names = {one.package for one in self.forced}
        for field_ in ("pypi", "pypi_constraints"):
            for item in getattr(self, field_):
                if item.name in names and not _bare(item):
                    self.note(item.where, f"{item.text} gives way: {item.name} is forced")
            setattr(self, field_, [one for one in getattr(self, field_) if one.name not in names])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _merge(mine: dict[str, _Value], theirs: dict[str, _Value], what: str) -> None:
    for key, value in theirs.items():
        if mine.setdefault(key, value) != value:
            raise UsageError(f"{what} {key} is one thing in one file and another in the next")


def once(items: Iterable[Item]) -> list[Item]:
    """Return the items, each name once; a bare name gives way to one with a version.

    Raises UsageError for two that differ.
    """
    found: dict[str, Item] = {}
    for item in items:
        key = item.name if ";" not in item.text else f"{item.name};{item.text.partition(';')[2]}"
        old = found.get(key)
        if old is None or _bare(old):
            found[key] = item
        elif old.text != item.text and not _bare(item):
            raise UsageError(
                f"{item.name} is asked for twice: {old.text} and {item.text}",
                where=item.where,
                hint=f"the first is {old.where}; leave one of them, or join them with a comma",
            )
    return list(found.values())


def _bare(item: Item) -> bool:
    return canonicalize_name(item.text) == canonicalize_name(item.name)


def check_owners(conda: Sequence[Item], pypi: Sequence[Item]) -> None:
    """Refuse a package that is to come from conda and from PyPI; raises UsageError."""
    owners = {canonicalize_name(item.name): item for item in conda}
    for item in pypi:
        owner = owners.get(canonicalize_name(item.name))
        if owner is not None:
            raise UsageError(
                f"{item.name} is to come from conda ({owner.text}) and from PyPI ({item.text})",
                where=item.where,
                hint=f"the other is {owner.where}; a distribution has one owner: remove one of "
                "the two",
            )


def requirement(text: str, location: Location) -> Item:
    """Return a requirement by name (PEP 508); raises SpecError."""
    try:
        parsed = parse_requirement(text)
    except InvalidRequirement as error:
        raise SpecError(
            f"{text!r} is not a requirement: {str(error).splitlines()[0]}",
            location=location,
            hint='write it as pip does: "torch>=2.6,<2.7"',
        ) from None
    if parsed.url is not None:
        raise SpecError(
            f"{parsed.name} is asked for by URL",
            location=location,
            hint="a lock is free of hosts: put the file on an index",
        )
    return Item(text=_readable(parsed), name=canonicalize_name(parsed.name), where=str(location))


def _readable(parsed: Requirement) -> str:
    """Return a requirement with its lower bounds first, as people write it."""
    clauses = sorted(parsed.specifier, key=lambda one: (_LAST.get(one.operator, 0), str(one)))
    return str(parsed).replace(str(parsed.specifier), ",".join(map(str, clauses)), 1)
