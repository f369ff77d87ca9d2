"""What a part of a run asked of the rest of the world, and what it did to it.

A part that is given the same answers does the same again, so its results can be kept and used
once every answer is found to be the same (build systems call this a verifying trace).  A part
is a module with all modules that take part in its cycle of imports, or the functions of some
modules.  Cycles are found as Tarjan finds them: a module that looks at what an unfinished one
holds belongs to that one's part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envlock.audit.resolve.state import Failure, Module

Event = tuple[str, ...]


class UnfinishedError(Exception):
    """A module that is only being checked was looked into: it has to be run."""


@dataclass(eq=False, slots=True)
class Watch:
    """What a part that is being checked would change on its way; nobody may see it unchanged."""

    names: frozenset[str]
    tripped: bool = False


@dataclass(eq=False, slots=True)
class Notes:
    """Questions and effects of a part.

    finds: modules whose existence was asked; events: what else was asked, in order, with the
    answers; failures, handled, wanted, sets, binds: what it did; safe: False where the effects
    reach further than is noted; index: the place among the parts under way; low: the lowest
    one that was looked into; into: the part that this one was merged into; members: its
    modules; said: what was noted before; deep: how many imports are nested in it; home: the
    modules whose functions they are; gone: how many names were known to be gone when it began;
    tries: how often it was begun again; active: it is under way; before: finished modules and
    names in which its functions bound something, as they were; readers: who looked at these
    since; checking: it is only being checked, and these parts that were run meanwhile will
    belong to it or another one (they are ``loose``) once somebody looks at their modules.
    """

    index: int
    finds: dict[str, str] = field(default_factory=dict)
    events: dict[Event, None] = field(default_factory=dict)
    failures: dict[tuple[str, str, str, str], Failure] = field(default_factory=dict)
    handled: dict[tuple[str, str, str, str], tuple[str, bool]] = field(default_factory=dict)
    wanted: dict[tuple[str, str, int], None] = field(default_factory=dict)
    sets: dict[str, None] = field(default_factory=dict)
    binds: list[tuple[str, str, Any]] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    readers: list[Notes] = field(default_factory=list)
    members: list[Module] = field(default_factory=list)
    said: set[tuple[str, str]] = field(default_factory=set)
    safe: bool = True
    low: int = 0
    into: Notes | None = None
    deep: int = 0
    home: frozenset[Module] = frozenset()
    gone: int = 0
    tries: int = 0
    active: bool = True
    loose: bool = False
    checking: list[Notes] | None = None

    def __post_init__(self) -> None:
        self.low = self.index

    @property
    def root(self) -> Notes:
        """The part that this one belongs to by now."""
        current = self
        while current.into is not None:
            current = current.into
        return current

    def merge(self, other: Notes) -> None:
        """Take over a part that belongs to this one."""
        other.into = self
        self.members.extend(other.members)
        self.low = min(self.low, other.low)
        self.finds.update(other.finds)
        self.events.update(other.events)
        for failure in other.failures.values():
            self.failed(failure)
        for key, (how, force) in other.handled.items():
            self.treat(key, how, force=force)
        self.wanted.update(other.wanted)
        self.sets.update(other.sets)
        self.binds.extend(other.binds)
        self.before = {**other.before, **self.before}
        self.readers.extend(other.readers)
        self.safe = self.safe and other.safe

    def failed(self, failure: Failure) -> None:
        """Note a failure; of the places with the same key the first in the source is told."""
        known = self.failures.get(failure.key)
        if known is None or failure.order < known.order:
            self.failures[failure.key] = failure

    def treat(self, key: tuple[str, str, str, str], how: str, *, force: bool) -> None:
        """Note what became of a failure; force: whatever was known of it before."""
        if force or key not in self.handled:
            self.handled[key] = how, force

    def abandon(self) -> None:
        """Begin again: the run went back to where this part began.

        What was asked so far led there, so it stays, between brackets.
        """
        self.tries += 1
        mark = f"({self.members[0].name}) {self.tries}"
        asked = [(*event, mark) for event in self.events]
        self.events.clear()
        self.events.update(dict.fromkeys([("(", mark, ""), *asked, (")", mark, "")]))
        for kept in (self.failures, self.handled, self.wanted, self.sets, self.said, self.before):
            kept.clear()
        self.binds.clear()
        self.readers.clear()
        del self.members[1:]
        self.low, self.deep = self.index, 0

    def forget(self) -> None:
        """Let go of what was noted; those whose names it bound still ask whether it is active."""
        for noted in (self.finds, self.events, self.failures, self.handled, self.wanted):
            noted.clear()
        self.said.clear()
        self.readers.clear()
        self.members.clear()
