"""Advisories and what they say of a lock, as data (OSV schema 1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from envlock.lock.model import Artifact
    from envlock.spec.model import AcceptedVulnerability


@dataclass(frozen=True, slots=True)
class Event:
    """Where versions begin to be affected or cease to be; ``introduced`` 0 is before them all."""

    kind: Literal["introduced", "fixed", "last_affected"]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """One package that an advisory is about.

    ecosystem: ``PyPI``, ``Debian`` or ``Debian:12``; name: normalized (PEP 503) on PyPI, that of
    the source package on Debian.
    """

    ecosystem: str
    name: str
    versions: tuple[str, ...] = ()
    ranges: tuple[tuple[Event, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One vulnerability; severity: the database's own word for it, where it has one."""

    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    severity: str | None = None
    affected: tuple[Affected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisories:
    """What was read: all that is about known ecosystems and not withdrawn.

    read: how many advisories there were; notes: what could not be used.
    """

    found: tuple[Advisory, ...]
    read: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A locked package as advisories name it; ``artifact`` is what brings it."""

    ecosystem: str
    name: str
    version: str
    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """A locked package that is affected.

    ids: of all advisories about the same thing, sorted; fixed: versions that are not affected,
    in order; accepted: the spec's entry that covers it; expired: one that covered it once.
    """

    subject: Subject
    ids: tuple[str, ...]
    summary: str
    severity: str | None
    fixed: tuple[str, ...]
    accepted: AcceptedVulnerability | None = None
    expired: AcceptedVulnerability | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the advisories say of one lock.

    unused: accepted and not there; unjudged: sentences about what could not be compared.
    """

    found: tuple[Vulnerability, ...]
    unused: tuple[AcceptedVulnerability, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Vulnerability, ...]:
        """Those that nobody accepted."""
        return tuple(one for one in self.found if one.accepted is None)
