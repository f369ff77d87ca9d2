"""What is searched and what is found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.audit import Finding
    from envlock.spec.model import Override

Kind = Literal["keep", "add", "drop", "require", "force"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is tried.

    versions: of each package; trials: sets of packages that are solved and audited, in all;
    seconds: after which nothing new is begun, or None; unknown: how many wheels of a set may
    be ones that were never looked into, or None.
    """

    versions: int = 12
    trials: int = 60
    seconds: float | None = None
    unknown: int | None = None


BRIEF = Limits(versions=6, trials=24, seconds=10.0, unknown=3)
"""What may be tried at the end of a command that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a way out changes in a spec.

    kind: ``require`` asks for ``package`` at ``version``; ``force`` overrides it with that
    version ``against`` the pins of dependents (requirement by name); ``drop`` only leaves
    the override of ``package`` out, or the line that conflicts; ``add`` only has ``adds``;
    ``keep`` is the spec as it is.  drops: the package whose override goes, or empty; adds:
    requirements that somebody needs and nobody declares.
    """

    kind: Kind
    package: str
    version: str
    against: Mapping[str, str] = field(default_factory=dict)
    drops: str = ""
    adds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What ways out are searched for.

    package: the distribution that is overridden, or whose code lacks what others need, or
    empty; override: the spec's, or None for a break or a conflict; natural: the version of
    package without an override, or empty where there is no solution; reason: why there is
    none; fixes: what must be gone; users: the distributions whose code that is in.
    """

    package: str
    override: Override | None = None
    natural: str = ""
    reason: str = ""
    fixes: tuple[Finding, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way out.

    voids: requirements that are set aside, as ``dependent version -> requirement``; breaks:
    serious findings that the environment without any override does not have; moved: other
    distributions whose version changes, as ``name old -> new``; also: other versions of the
    package that do the same; replaces: lines of the spec that go; yours: is it the spec as it
    is; yaml: what to paste, empty for yours; unverified: distributions of which only parts
    were read.
    """

    change: Change
    voids: tuple[str, ...] = ()
    breaks: tuple[Finding, ...] = ()
    moved: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    yours: bool = False
    yaml: str = ""
    unverified: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A change that is no way out, and why."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Ways out of one problem, best first.

    skipped: what was not looked at, and why; moved: bytes that came over the network;
    trials: how many sets of packages were solved.
    """

    problem: Problem
    ways: tuple[Way, ...]
    tried: tuple[Tried, ...] = ()
    skipped: tuple[str, ...] = ()
    moved: int = 0
    trials: int = 0
