"""The symbolic run: what every part of it shares."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from envlock.audit.index.entries import Entry
from envlock.audit.model import Need, Place
from envlock.audit.resolve.again import Mark, hidden
from envlock.audit.resolve.attributes import Attributes
from envlock.audit.resolve.escapes import Escape, Escapes, Numbers
from envlock.audit.resolve.evaluate import Evaluator
from envlock.audit.resolve.execute import Executor
from envlock.audit.resolve.getters import Getters
from envlock.audit.resolve.holding import value_to_data
from envlock.audit.resolve.imports import Imports
from envlock.audit.resolve.looks import Looks
from envlock.audit.resolve.matching import catches
from envlock.audit.resolve.notes import UnfinishedError
from envlock.audit.resolve.replay import Replay
from envlock.audit.resolve.state import (
    BranchEndError,
    CaughtError,
    Clause,
    Failure,
    Frame,
    Module,
    ReturnedError,
)
from envlock.audit.resolve.traces import Tracer

if TYPE_CHECKING:
    from envlock.audit.model import Kind
    from envlock.audit.resolve.keeping import Kept
    from envlock.audit.resolve.notes import Notes
    from envlock.audit.resolve.values import Value
    from envlock.audit.resolve.world import World


_DOUBLE = re.compile(r"@\d+")
"""What tells functions and classes of the same name apart in an index; findings hold no lines."""


class Run:
    """One pass over a world; knows what failed and where it was handled.

    gone: names that are missing in modules that import each other; begun: the modules in the
    order in which they were run; journal, undo, moved: what ``handled``, finished modules and
    failures' places were before, for a run to go back; refused: the line of the last raise.
    """

    def __init__(self, world: World, kept: Kept | None = None) -> None:
        self.world = world
        self.gone: dict[tuple[str, str], None] = {}
        self.begun: list[Module] = []
        self.modules: dict[str, Module] = {}
        self.failures: dict[tuple[str, str, str, str], Failure] = {}
        self.handled: dict[tuple[str, str, str, str], str] = {}
        self.journal: list[tuple[tuple[str, str, str, str], str | None]] = []
        self.undo: list[tuple[Module, str, Any]] = []
        self.moved: list[tuple[Failure, Place]] = []
        self.pending: dict[str, set[str]] = {}
        self.wanted: dict[tuple[str, str, int], None] = {}
        self.unsure = 0
        self.env = 0
        self.importing = False
        self.asking = False
        self.refused = 0
        self.clauses: list[Clause] = []
        self.numbers = Numbers()
        self.sinks: list[Escapes] = []
        self.notes: Notes | None = None
        self.tracer = Tracer(self, kept) if kept is not None else None
        self.replay = Replay(self, self.tracer, kept) if kept and self.tracer else None
        self.looks = Looks(self)
        self.imports = Imports(self)
        self.evaluator = Evaluator(self)
        self.getters = Getters(self)
        self.executor = Executor(self)
        self.attributes = Attributes(self)

    def release(self) -> None:
        """Let go of everything that was met; the run is over."""
        for module in self.modules.values():
            module.release()
        for met in (self.modules, self.failures, self.undo, self.moved, self.begun):
            met.clear()
        vars(self).clear()

    def failure(
        self,
        kind: Kind,
        frame: Frame,
        line: int,
        module: str,
        name: str,
        error: str,
        *,
        optional: bool = False,
    ) -> Failure:
        """Return the failure of a need at a place; the same one each time."""
        return self.failed(
            kind, frame.module.name, frame.function, line, module, name, error, optional
        )

    def failed(
        self,
        kind: Kind,
        user: str,
        function: str,
        line: int,
        module: str,
        name: str,
        error: str,
        optional: bool,
    ) -> Failure:
        """Note the failure of a need in a function of a module and return it."""
        made = self.make(kind, user, function, line, module, name, error, optional)
        if self.notes is not None:
            self.notes.failed(made)
        known = self.failures.setdefault(made.key, made)
        if known is not made and made.order < known.order:
            self.moved.append((known, known.place))
            known.place = made.place  # the first in the source, whoever came by first
        return known

    def make(
        self,
        kind: Kind,
        user: str,
        function: str,
        line: int,
        module: str,
        name: str,
        error: str,
        optional: bool,
    ) -> Failure:
        """Return the failure of a need, which nobody knows of yet."""
        index = self.world.owner[user]
        place = Place(
            distribution=index.name,
            version=index.version,
            module=user,
            function=_DOUBLE.sub("", function),
            file=self.world.modules[user]["file"],
            line=line,
        )
        provider = "" if error == "PackageNotFoundError" else self.world.provider(module)
        need = Need(module=module, name=name, provider=provider)
        return Failure(kind, place, need, error, optional)

    def fail(
        self,
        failure: Failure,
        *,
        certain: bool = True,
        via: str = "",
        line: int = 0,
        conditional: bool = False,
    ) -> None:
        """Send a failure to the clause that catches it, or out of the body under way."""
        for clause in reversed(self.clauses):
            for number, (types, _) in enumerate(clause.handlers):
                match = catches(types, failure.error)
                if match == "no":
                    # a name that Python 2 had may have ended the body before
                    certain = certain and "NameError" not in (types or ())
                    continue
                if match == "yes" and certain and self.unsure == clause.unsure:
                    raise CaughtError(clause, failure, number)
                clause.maybe.append(failure)
                return
        if not self.sinks:
            return
        sure = certain and self.unsure == 0
        under = conditional or (not sure and self.env > 0)
        self.sinks[-1].add(Escape(failure, sure, via, line, under))

    def pass_on(self, module: Module, line: int) -> None:
        """Send what leaves a module, which a statement imports, where :meth:`fail` would."""
        if not self.clauses:
            if self.sinks:
                sink, sure = self.sinks[-1], self.unsure == 0
                sink.take(module.escapes, module.name, line, sure=sure, env=self.env > 0)
            return
        for escape in module.escapes:
            if escape.certain or not (escape.conditional or escape.failure.optional):
                self.fail(
                    escape.failure,
                    certain=escape.certain,
                    via=module.name,
                    line=line,
                    conditional=escape.conditional,
                )

    def count(self) -> int:
        """Return how many failures have left the body under way."""
        return len(self.sinks[-1]) if self.sinks else 0

    def new_clause(self, handlers: list[Any]) -> Clause:
        """Return a clause that begins here."""
        return Clause(handlers, self.unsure)

    def treat(self, key: tuple[str, str, str, str], how: str, *, force: bool = True) -> None:
        """Note what became of a failure that a clause caught."""
        if self.notes is not None:
            self.notes.treat(key, how, force=force)
        before = self.handled.get(key)
        if force or before is None:
            self.journal.append((key, before))
            self.handled[key] = how

    def noting(self, notes: Notes | None) -> None:
        """Note what is asked from now on in ``notes``."""
        self.notes = self.world.notes = notes

    def want(self, module: str, name: str, line: int) -> None:
        """Note that a module imports another, unguarded; of what is its own only parts are told."""
        key, owner = (module, name, line), self.world.owner
        if (owner.get(name) or owner.get(name.partition(".")[0])) is not owner[module]:
            self.wanted[key] = None
        if self.notes is not None:
            self.notes.wanted[key] = None

    def loaded(self, name: str) -> bool:
        """Tell whether anybody imported a module by now."""
        module = self.modules.get(name)
        if module is not None and module.checked not in {"", name}:
            raise UnfinishedError(module.checked)
        there = module is not None and module.status != "new"
        if self.notes is not None:
            self.notes.events["c", name, "yes" if there else "no"] = None
        return there

    def code(self, module: Module) -> None:
        """Note that a function of a module is run."""
        if self.notes is not None and self.tracer is not None:
            if module.unit is not None or module.checked:
                self.looks.look(module)
            else:
                self.notes.events["k", module.name, self.tracer.key(module)] = None

    def bound(self, module: Module, name: str, value: Value | None) -> None:
        """Note that a function binds a global name of its module."""
        notes, before = self.notes, module.names.bound.get(name)
        if before == (False, value):
            return
        self.undo.append((module, name, before))
        if notes is None:
            return
        if module.unit is not None:
            if module.unit.root is not notes.root:
                notes.safe = False
            return
        self.looks.glance(module, name)
        if self.tracer is not None:
            self.tracer.before(notes, module, name)
        module.binders.setdefault(name, []).append(notes)
        module.changed()
        try:
            notes.binds.append((module.name, name, value_to_data(value)))
        except TypeError:
            notes.safe = False

    def rebind(self, name: str, variable: str, value: Value | None) -> None:
        """Bind a global name as a function of an earlier run did."""
        module = self.imports.module(name)
        if module is not None:
            self.looks.wake(module)
            self.bound(module, variable, value)
            module.names.bind(variable, value, certain=False)

    def run_module(self, module: Module) -> None:
        """Run a module; once more where a cycle of imports hid that names are missing."""
        mark, before = Mark.of(self), self.notes
        notes = self.tracer.begin(module) if self.tracer is not None else None
        self._body(module)
        while more := hidden(self, module):
            self.gone.update(dict.fromkeys(sorted(more)))
            mark.back(self)
            self.modules[module.name] = module
            module.unit = notes
            if notes is not None:
                notes.abandon()
            self._body(module)
        if isinstance(module.entry, Entry):
            module.entry.release()
        if self.tracer is not None and notes is not None:
            self.tracer.end(notes, before)

    def _body(self, module: Module) -> None:
        """Run a module's body with clauses and conditions of its own."""
        self.begun.append(module)
        self.pending.pop(module.name, None)  # what an attempt that was given up asked
        saved = self.clauses, self.unsure, self.importing, self.env, self.asking
        self.clauses, self.unsure, self.importing, self.env, self.asking = [], 0, True, 0, False
        self.sinks.append(module.escapes)
        frame = Frame(module)
        module.status = "running"
        try:
            with self.evaluator.apart():
                self.executor.block(module.entry.get("body", ()), frame)
        except (ReturnedError, BranchEndError):
            pass
        finally:
            self.sinks.pop()
            self.clauses, self.unsure, self.importing, self.env, self.asking = saved
            module.status = "done"

    def run_function(self, module: Module, function: str) -> Escapes:
        """Run a function's body by itself and return the failures that leave it."""
        entry = module.entry["functions"][function]
        escapes = Escapes(self.numbers)
        self.clauses, self.unsure, self.importing = [], 0, False
        self.sinks.append(escapes)
        try:
            self.executor.function(entry, Frame(module, function))
        except (ReturnedError, BranchEndError):
            pass
        finally:
            self.sinks.pop()
            self.clauses, self.unsure = [], 0
        return escapes
