"""Modules with a ``__getattr__`` of their own (PEP 562): which names do they have?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.resolve.evaluate import DEPTH
from envlock.audit.resolve.state import BranchEndError, CaughtError, Frame, ReturnedError
from envlock.audit.resolve.values import Value, constant, is_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module


class Getters:
    """Runs ``__getattr__`` of modules."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def module_getattr(self, module: Module, name: str) -> tuple[Any, Value | None]:
        """Run a module's ``__getattr__`` for a name; then look at the texts of its file."""
        entry = module.entry.get("functions", {}).get("__getattr__")
        if entry is not None and entry[1] and self._run.evaluator.depth < DEPTH:
            raised = self._raises(lambda: self._ask(module, entry, name))
            if raised is True:
                return "no", None
            if raised is False:
                return "maybe", None
        strings = module.entry.get("strings")
        exported = module.exported
        if not strings or not exported or module.exports_unknown or name in strings:
            return "maybe", None
        if self._moved(module, name):
            return "maybe", None
        lazy = [one for one in exported if one not in module.names.bound]
        return ("no" if lazy and set(lazy) <= set(strings) else "maybe"), None

    def _moved(self, module: Module, name: str) -> bool:
        """Tell whether a helper's table says where a module's name is now (pydantic's do)."""
        wanted = {f"{module.name}:{name}", f"{module.name}.{name}"}
        for node in module.entry.get("body", ()):
            helper = self._run.imports.module(node[2]) if node[0] == "f" else None
            if helper is not None:
                self._run.looks.look(helper)
            tables = helper.names.bound.values() if helper is not None else ()
            if any(table and table[0] == "t" and wanted & table[1] for _, table in tables):
                return True
        return False

    def _ask(self, module: Module, entry: Any, name: str) -> Value:
        return self._run.executor.call(
            entry, Frame(module, "__getattr__", foreign=True), [constant(name)], {}
        )

    def _raises(self, action: Callable[[], Value]) -> bool | None:
        """Tell whether an action surely raises AttributeError or surely returns; None: unknown."""
        saved = self._run.clauses, self._run.unsure, self._run.asking
        clause = self._run.new_clause([[["AttributeError"], []], [None, []]])
        clause.unsure = 0
        self._run.clauses, self._run.unsure, self._run.asking = [clause], 0, True
        self._run.evaluator.depth += 1
        try:
            value = action()
        except CaughtError as error:
            return error.handler == 0 or None
        except (ReturnedError, BranchEndError, RecursionError):
            return None
        finally:
            self._run.evaluator.depth -= 1
            self._run.clauses, self._run.unsure, self._run.asking = saved
        return None if clause.maybe or is_unknown(value) else False
