"""What there is besides what is locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from envlock.lock.model import Kind

State = Literal["needed", "replaceable", "changed", "stale"]
"""Of an override.  needed: nothing is known to do without it; replaceable: upstream has versions
that do, which the spec does not allow; changed: upstream pins something else, and the next
solve fails until somebody has looked; stale: it has no effect, or has outlived its ``until``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """What an index has of a package.

    newest: the newest version that the target takes, whatever the spec says, None where there
    is none; source: where that one is; yanked: whether the locked file is withdrawn (PEP 592);
    why: what the index says of that; gone: whether the locked file is not there any more.
    """

    newest: str | None
    source: str
    yanked: bool = False
    gone: bool = False
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageState:
    """One locked package.

    allowed: what ``envlock solve -U`` would lock, None where it would lock none or where that
    cannot be told; newest, source, yanked, gone: see :class:`Available`; yanked_because:
    what the index says of that; forced: by an override.
    """

    kind: Kind
    name: str
    locked: str
    allowed: str | None
    newest: str | None
    source: str
    yanked: bool
    gone: bool
    forced: bool
    yanked_because: str | None = None

    @property
    def movable(self) -> bool:
        """Whether ``envlock solve -U`` would change the version."""
        return self.allowed is not None and self.allowed != self.locked

    @property
    def behind(self) -> bool:
        """Whether there is anything to tell of the package."""
        newer = self.newest is not None and self.newest != self.locked
        return self.movable or newer or self.yanked or self.gone


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideState:
    """One override, held against what upstream has now.

    reasons: why it is in its state, a sentence each; notes: what was looked at besides;
    lines: the first and the last line of the spec that make it, where it has lines of its own.
    """

    package: str
    version: str
    kind: Kind
    state: State
    where: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str | None = None
    lines: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseState:
    """The base image: the digest that is locked for its name, and the one that the name has now.

    now: None where the name is gone.
    """

    reference: str
    locked: str
    now: str | None

    @property
    def moved(self) -> bool:
        """Whether ``envlock solve -U`` would lock another image."""
        return self.now != self.locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """All of it for one lock.

    problem: why ``envlock solve -U`` would find no solution, None where it would; base: None for
    an image without one.
    """

    name: str
    platform: str
    packages: tuple[PackageState, ...]
    overrides: tuple[OverrideState, ...]
    problem: str | None = None
    base: BaseState | None = None

    @property
    def yanked(self) -> tuple[PackageState, ...]:
        """The packages whose files were withdrawn."""
        return tuple(one for one in self.packages if one.yanked)

    @property
    def stale(self) -> tuple[OverrideState, ...]:
        """The overrides that somebody has to look at: all but the needed ones."""
        return tuple(one for one in self.overrides if one.state != "needed")
