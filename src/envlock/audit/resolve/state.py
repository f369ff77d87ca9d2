"""What the symbolic run remembers: failures, modules, frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from envlock.audit.model import Kind, Need, Place
    from envlock.audit.resolve.escapes import Escapes
    from envlock.audit.resolve.notes import Event, Notes
    from envlock.audit.resolve.values import Value


@dataclass(eq=False, slots=True)
class Failure:
    """One thing that is not there, where it is asked for; error: the exception's class.

    optional: its whole distribution is missing; root: the failure that this one was raised
    for in a handler.
    """

    kind: Kind
    place: Place
    need: Need
    error: str
    optional: bool = False
    root: Failure | None = None

    @property
    def origin(self) -> Failure:
        """The failure that started it."""
        return self.root.origin if self.root is not None else self

    @property
    def order(self) -> tuple[str, str, int]:
        """Where it stands in the source; line 0 is nobody knows where."""
        return self.place.module, self.place.function, self.place.line or 1 << 30

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.kind, self.place.code, self.need.module, self.need.name)


SURE = (True, None)
MAYBE = (False, None)
"""What most names are bound to: nothing that matters, surely or not."""
TABLES = "_<tables>"
"""Under this name a module has the texts of which names that it puts into globals() are made."""


@dataclass(slots=True)
class Names:
    """A namespace: for each name whether it is surely bound, and to what."""

    bound: dict[str, tuple[bool, Value | None]] = field(default_factory=dict)
    log: list[dict[str, tuple[bool, Value | None] | None]] = field(default_factory=list)

    def bind(self, name: str, value: Value | None, *, certain: bool = True) -> None:
        if self.log and name not in self.log[-1]:
            self.log[-1][name] = self.bound.get(name)
        if value is None:
            self.bound[name] = SURE if certain else MAYBE
        else:
            self.bound[name] = (certain, value)

    def unbind(self, name: str) -> None:
        if name in self.bound:
            if self.log and name not in self.log[-1]:
                self.log[-1][name] = self.bound[name]
            del self.bound[name]

    def fork(self) -> None:
        """Start to note what changes."""
        self.log.append({})

    def rewind(self) -> dict[str, tuple[bool, Value | None] | None]:
        """Undo what changed since the fork and return how it was at the end."""
        before = self.log.pop()
        after = {name: self.bound.get(name) for name in before}
        for name, entry in before.items():
            if entry is None:
                self.bound.pop(name, None)
            else:
                self.bound[name] = entry
        return after

    def merge(self, one: dict[str, Any] | None, two: dict[str, Any] | None) -> None:
        """Apply what two branches left; None for a branch that does not come back."""
        if not one and not two:
            return
        if one is None or two is None:
            for name, entry in (one or two or {}).items():
                self._put(name, entry)
            return
        for name in {*one, *two}:
            now = self.bound.get(name)
            self._put(name, _joined(one.get(name, now), two.get(name, now)))

    def _put(self, name: str, entry: tuple[bool, Value | None] | None) -> None:
        if entry is None:
            self.unbind(name)
        else:
            self.bind(name, entry[1], certain=entry[0])


def _joined(
    one: tuple[bool, Value | None] | None, two: tuple[bool, Value | None] | None
) -> tuple[bool, Value | None] | None:
    if one is None or two is None:
        there = one or two
        return (False, None) if there is None else (False, there[1])
    return (one[0] and two[0], one[1] if one[1] == two[1] else None)


@dataclass(eq=False, slots=True)
class Module:
    """A module under way or done.

    stored: gives its state as text, until somebody looks; digest: what tells the state from
    others; asked: questions about that state, with their answers, as parts note them; unit: the
    unfinished part of the run that it belongs to; checked: the module for whose sake it is being
    compared with an earlier run; binders: names that functions bound when it was finished, and
    the parts that did.
    """

    name: str
    entry: Mapping[str, Any]
    escapes: Escapes
    names: Names = field(default_factory=Names)
    stored: Callable[[], str] | None = None
    digest: str = ""
    asked: dict[str, Event] = field(default_factory=dict)
    unit: Notes | None = None
    checked: str = ""
    binders: dict[str, list[Notes]] = field(default_factory=dict)
    status: str = "new"
    open: bool = False
    exported: list[str] | None = None
    exports_unknown: bool = False
    live: set[str] = field(default_factory=set)

    def changed(self) -> None:
        """Forget what told its state from others."""
        self.digest = ""
        self.asked.clear()

    def release(self) -> None:
        """Let go of what refers back to the module; it is not looked at any more."""
        self.names.bound.clear()
        self.escapes.arrivals.clear()
        self.binders.clear()
        self.stored = self.unit = None

    @property
    def lists(self) -> bool:
        """Whether ``__all__`` says what a star brings, whatever else there is."""
        return self.exported is not None and not self.exports_unknown

    @property
    def loose(self) -> bool:
        """Whether there may be names that nobody can list."""
        return self.open or TABLES in self.names.bound

    @property
    def broken(self) -> bool:
        return self.escapes.certain != 0


@dataclass(eq=False, slots=True)
class Frame:
    """A body under way: a module's, or a function's with its own names.

    unsure: how many conditions that depend on an unknown environment hold; branches: how
    many unknown conditions of any kind; foreign: it was called, maybe from another module;
    tries: the enclosing clauses, innermost last.
    """

    module: Module
    function: str = ""
    names: Names | None = None
    local: frozenset[str] = frozenset()
    shared: set[str] = field(default_factory=set)
    branches: int = 0
    returns: list[tuple[bool, Value]] = field(default_factory=list)
    foreign: bool = False
    handling: list[Failure] = field(default_factory=list)
    outer: Frame | None = None


@dataclass(eq=False, slots=True)
class Clause:
    """A try whose body runs."""

    handlers: list[Any]
    unsure: int
    maybe: list[Failure] = field(default_factory=list)


class CaughtError(Exception):
    """A failure on its way to the clause that catches it."""

    def __init__(self, clause: Clause, failure: Failure, handler: int) -> None:
        super().__init__()
        self.clause, self.failure, self.handler = clause, failure, handler


class ReturnedError(Exception):
    """The function under way is done."""


class BranchEndError(Exception):
    """This branch of an unknown condition does not come back."""
