"""Which advisories are about which locked packages.

The evaluation algorithm of the OSV schema: a version is affected where it is listed, or where it
lies in a range.  Versions compare as their ecosystem's do: PEP 440, Debian policy 5.6.12.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envlock.advisories.model import Subject
from envlock.solve.debian.versions import version_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from envlock.advisories.model import Advisory, Affected, Event
    from envlock.lock.model import Lock

_RELEASES = {"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14"}
"""Debian's numbers, which the ecosystems of its advisories bear."""

_REBUILT = re.compile(r"\+b[0-9]+$")

Hit = tuple[Subject, "Advisory", tuple[str, ...]]
"""A package, an advisory that is about it, and the versions in which that is fixed."""


def subjects(lock: Lock) -> Iterator[Subject]:
    """Yield the packages of a lock as advisories name them.

    Distributions that conda packages provide count as PyPI's; Debian's advisories name source
    packages, and the folder of the pool does, too.
    """
    release = _RELEASES.get(lock.debian.suite) if lock.debian else None
    debian = f"Debian:{release}" if release else "Debian"
    for one in lock.artifacts:
        if one.kind == "pypi":
            yield Subject(ecosystem="PyPI", name=one.name, version=one.version, artifact=one)
        for provided, version in one.distributions:
            name = str(canonicalize_name(provided))
            yield Subject(ecosystem="PyPI", name=name, version=version, artifact=one)
        if one.kind == "debian":
            parts = one.path.split("/")
            source = parts[-2] if len(parts) > 1 else one.name
            version = _REBUILT.sub("", one.version)
            yield Subject(ecosystem=debian, name=source, version=version, artifact=one)


def match(lock: Lock, advisories: Iterable[Advisory]) -> tuple[list[Hit], list[str]]:
    """Return what is affected, and sentences about what could not be compared."""
    wanted: dict[str, list[Subject]] = defaultdict(list)
    for subject in subjects(lock):
        wanted[subject.name].append(subject)
    hits: list[Hit] = []
    unjudged: list[str] = []
    for advisory in advisories:
        for affected in advisory.affected:
            for subject in wanted.get(affected.name, ()):
                if not _is_about(affected.ecosystem, subject.ecosystem):
                    continue
                try:
                    verdict = _is_affected(subject, affected)
                except InvalidVersion as error:
                    unjudged.append(f"{advisory.id} and {subject.name} {subject.version}: {error}")
                    continue
                if verdict:
                    hits.append((subject, advisory, _fixes(subject, affected)))
    return hits, unjudged


def _is_about(advisory: str, package: str) -> bool:
    """Tell whether an advisory's ecosystem covers a package's: ``Debian`` covers ``Debian:12``."""
    return advisory == package or (advisory == "Debian" and package.startswith("Debian:"))


def _is_affected(subject: Subject, affected: Affected) -> bool:
    key = _key(subject)
    version = key(subject.version)
    if any(_equal(key, listed, version) for listed in affected.versions):
        return True
    return any(_inside(key, version, one) for one in affected.ranges)


def _key(subject: Subject) -> Callable[[str], Any]:
    return _public if subject.ecosystem == "PyPI" else version_key


def _public(text: str) -> Version:
    """Return a version without its local part: 2.6.0+cu124 is a build of 2.6.0."""
    return Version(Version(text).public)


def _equal(key: Callable[[str], Any], listed: str, version: Any) -> bool:
    try:
        return bool(key(listed) == version)
    except InvalidVersion:  # one of the old ones, which no lock has
        return False


def _inside(key: Callable[[str], Any], version: Any, events: Sequence[Event]) -> bool:
    affected = False
    for event, place in _ordered(key, events):
        if event.kind == "introduced":
            affected |= place is None or version >= place
        elif event.kind == "fixed":
            affected &= version < place
        else:
            affected &= version <= place
    return affected


def _ordered(key: Callable[[str], Any], events: Sequence[Event]) -> list[tuple[Event, Any]]:
    """Return events with their versions' keys, in order; None is before everything."""
    first: list[tuple[Event, Any]] = [(event, None) for event in events if event.version == "0"]
    rest: list[tuple[Event, Any]] = [(e, key(e.version)) for e in events if e.version != "0"]
    return first + sorted(rest, key=lambda pair: pair[1])


def _fixes(subject: Subject, affected: Affected) -> tuple[str, ...]:
    """Return the versions behind the package's own that end a range, in order."""
    key = _key(subject)
    version = key(subject.version)
    found = {
        event.version for events in affected.ranges for event in events if event.kind == "fixed"
    }
    return tuple(sorted((text for text in found if key(text) > version), key=key))
