"""The symbolic run: what every part of it shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.model import Need, Place
from envlock.audit.resolve.attributes import Attributes
from envlock.audit.resolve.evaluate import Evaluator
from envlock.audit.resolve.execute import Executor
from envlock.audit.resolve.imports import Imports
from envlock.audit.resolve.matching import catches
from envlock.audit.resolve.state import (
    BranchEndError,
    CaughtError,
    Clause,
    Escape,
    Failure,
    Frame,
    Module,
    ReturnedError,
)

if TYPE_CHECKING:
    from envlock.audit.model import Kind
    from envlock.audit.resolve.world import World


class Run:
    """One pass over a world; knows what failed and where it was handled.

    gone: names that an earlier pass found missing in modules that import each other.
    """

    def __init__(self, world: World, gone: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.world = world
        self.gone = gone
        self.modules: dict[str, Module] = {}
        self.failures: dict[tuple[str, str, str, str], Failure] = {}
        self.handled: dict[tuple[str, str, str, str], str] = {}
        self.pending: set[tuple[str, str]] = set()
        self.wanted: set[tuple[str, str, str, int]] = set()
        self.unsure = 0
        self.env = 0
        self.importing = False
        self.asking = False
        self.clauses: list[Clause] = []
        self.sinks: list[dict[tuple[str, str, str, str], Escape]] = []
        self.imports = Imports(self)
        self.evaluator = Evaluator(self)
        self.executor = Executor(self)
        self.attributes = Attributes(self)

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
        index = self.world.owner[frame.module.name]
        place = Place(
            distribution=index.name,
            version=index.version,
            module=frame.module.name,
            function=frame.function,
            file=frame.module.entry["file"],
            line=line,
        )
        need = Need(module=module, name=name, provider=self.world.provider(module))
        made = Failure(kind, place, need, error, optional)
        return self.failures.setdefault(made.key, made)

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
        known = self.sinks[-1].get(failure.key)
        if known is None or (sure and not known.certain):
            under = conditional or (not sure and self.env > 0)
            self.sinks[-1][failure.key] = Escape(failure, sure, via, line, under)

    def count(self) -> int:
        """Return how many failures have left the body under way."""
        return len(self.sinks[-1]) if self.sinks else 0

    def new_clause(self, handlers: list[Any]) -> Clause:
        """Return a clause that begins here."""
        return Clause(handlers, self.unsure)

    def run_module(self, module: Module) -> None:
        """Run a module's body with clauses and conditions of its own."""
        saved = self.clauses, self.unsure, self.importing, self.env
        self.clauses, self.unsure, self.importing, self.env = [], 0, True, 0
        self.sinks.append(module.escapes)
        frame = Frame(module)
        module.status = "running"
        try:
            self.executor.block(module.entry.get("body", ()), frame)
        except (ReturnedError, BranchEndError):
            pass
        finally:
            self.sinks.pop()
            self.clauses, self.unsure, self.importing, self.env = saved
            module.status = "done"

    def run_function(
        self, module: Module, function: str
    ) -> dict[tuple[str, str, str, str], Escape]:
        """Run a function's body by itself and return the failures that leave it."""
        entry = module.entry["functions"][function]
        escapes: dict[tuple[str, str, str, str], Escape] = {}
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
