"""A spec as data: what a person asks for, before anything is solved."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement

from envlock.lock.accepts import is_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.errors import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A requirement (PEP 508) and where the spec asks for it."""

    requirement: Requirement
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """Breakage that is known and accepted, and where the spec says so.

    pattern: ``package.module needs other.module.name`` (:func:`envlock.audit.matches`), or
    ``CHECK fails`` (:mod:`envlock.lock.accepts`).
    """

    pattern: str
    location: Location

    @property
    def is_failure(self) -> bool:
        """Whether a check may fail; else it is the import audit's."""
        return is_failure(self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A platform of the spec with its virtual packages; never read from the host.

    name: conda subdir; glibc and cuda: ``major.minor``; linux: the kernel that packages may
    count on; archspec: the microarchitecture, as archspec names it (``x86_64_v3``).
    """

    name: str
    glibc: str
    cuda: str | None = None
    linux: str | None = None
    archspec: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A package index besides ``pypi``.

    packages: normalized names that are taken from this index and no other; empty where
    the index is asked first for everything; undated: exclude-newer is not asked of them, since
    the index tells no time of upload.
    """

    name: str
    url: str
    packages: tuple[str, ...] = ()
    undated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian:
    """The OS layer."""

    suite: str
    packages: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    alternatives: Mapping[str, str] = field(default_factory=dict)
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Pypi:
    """What is wanted from package indexes; clobbers: whose files are kept where wheels differ."""

    dependencies: tuple[Asked, ...] = ()
    constraints: tuple[Asked, ...] = ()
    exclude: tuple[str, ...] = ()
    clobbers: tuple[Clobber, ...] = ()
    location: Location | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaChannel:
    """A channel; without a URL the machine knows where it is, or it is in its usual place."""

    name: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaAsked:
    """A match spec and where the spec asks for it.

    spec: as written, with single spaces; bare: without ``channel::``; name: normalized;
    subdir: the one folder of a channel that it may come from.
    """

    spec: str
    bare: str
    name: str
    channel: str | None
    subdir: str | None = None
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Clobber:
    """Paths at which conda packages, or wheels, differ, and the one whose files are kept.

    path: below the prefix, a pattern of :func:`envlock.layers.clobbers.matcher`.
    """

    path: str
    keep: str
    because: str
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Conda:
    """What is wanted from conda channels, which come in order of priority.

    map: the PyPI distribution that a conda package provides without saying so, empty for none;
    link_scripts: ``run`` or ``skip``, by the package whose post-link script it is about;
    clobbers: whose files are kept where packages differ.
    """

    channels: tuple[CondaChannel, ...]
    priority: str = "strict"
    dependencies: tuple[CondaAsked, ...] = ()
    constraints: tuple[CondaAsked, ...] = ()
    map: Mapping[str, str] = field(default_factory=dict)
    link_scripts: Mapping[str, str] = field(default_factory=dict)
    clobbers: tuple[Clobber, ...] = ()
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check; ``kind`` is version, import, run or gpu, ``value`` its argument(s).

    ready: ``value`` is the name of a ready-made check, and no command.
    """

    kind: str
    value: tuple[str, ...]
    ready: bool = False

    def plain(self) -> dict[str, object]:
        """Return the check as the spec writes it."""
        one = self.kind in {"version", "import"} or self.ready
        return {self.kind: self.value[0] if one else list(self.value)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A version that is forced against another package's pin.

    kind: where the forced version comes from; package: normalized name; version: the exact
    version; against: the requirement of each dependent (normalized name) that is set aside, as
    upstream wrote it; claims: the same as written, also what only conda's match specs can say;
    until: when a locked distribution meets this, the override is stale.  Overrides of the kind
    ``conda`` have ``claims``, ``conda_adds`` and ``conda_until`` and not their counterparts.
    """

    package: str
    version: str
    against: Mapping[str, Requirement]
    because: str
    adds: tuple[Asked, ...] = ()
    accepts: tuple[Accepts, ...] = ()
    until: Requirement | None = None
    checks: tuple[Check, ...] = ()
    location: Location
    kind: Literal["pypi", "conda"] = "pypi"
    claims: Mapping[str, str] = field(default_factory=dict)
    conda_adds: tuple[CondaAsked, ...] = ()
    conda_until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedVulnerability:
    """A known vulnerability that is accepted.

    id: of the advisory, or one of its aliases; package: where it is accepted, None for all;
    until: the last day on which it is, None for no end.
    """

    id: str
    because: str
    package: str | None = None
    until: date | None = None
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The image below the environment's own layers: a name in a registry, as it is written."""

    reference: str
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """How the image presents itself (OCI image-spec, config), and what it is built upon."""

    base: Base | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    workdir: str | None = None
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    precompile: bool = False
    budget: int | None = None
    max_size: int | None = None
    """Bytes of the largest layer that may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One environment.

    file: the name that errors show; accepts: breakage that no override causes; vulnerabilities:
    known ones that are accepted, which no solve and no build asks for; attestations: who must
    have published a wheel, by name (``*`` for all others), see :mod:`envlock.lock.attested`.
    """

    file: str
    name: str
    python: str
    targets: tuple[Target, ...]
    description: str = ""
    exclude_newer: datetime | None = None
    indexes: tuple[Index, ...] = ()
    debian: Debian | None = None
    conda: Conda | None = None
    pypi: Pypi = field(default_factory=Pypi)
    overrides: tuple[Override, ...] = ()
    accepts: tuple[Accepts, ...] = ()
    vulnerabilities: tuple[AcceptedVulnerability, ...] = ()
    attestations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    image: Image = field(default_factory=Image)
    checks: tuple[Check, ...] = ()
