"""Modules with a ``__getattr__`` of their own (PEP 562): which names do they have?"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from envlock.audit.resolve.evaluate import DEPTH
from envlock.audit.resolve.state import BranchEndError, CaughtError, Frame, ReturnedError
from envlock.audit.resolve.values import Value, constant, is_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module

_NOBODYS = "nobody_has_such_a_name"


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
        told = self._told(module, name) if entry is None else self._moved(module, name) or None
        if told is not None:
            return ("maybe" if told else "no"), None
        strings = module.entry.get("strings")
        exported = module.exported
        if not strings or not exported or module.exports_unknown or name in strings:
            return "maybe", None
        lazy = [one for one in exported if one not in module.names.bound]
        return ("no" if lazy and set(lazy) <= set(strings) else "maybe"), None

    def refuses(self, module: Module, name: str) -> bool:
        """Tell whether ``__getattr__`` knows a name, to say that it is gone.

        It is asked for no name that is there. So a raise where it comes for no made-up name
        decides even where other code may make any names (numpy 1.24's ``__former_attrs__``).
        """
        entry = module.entry.get("functions", {}).get("__getattr__")
        if entry is None or not entry[1] or self._run.evaluator.depth >= DEPTH:
            return False
        lines = []
        for one in (name, _NOBODYS):
            self._run.refused = 0
            raised = self._raises(functools.partial(self._ask, module, entry, one))
            lines.append(self._run.refused if raised else 0)
        return 0 != lines[0] != lines[1]

    def _moved(self, module: Module, name: str) -> bool:
        """Tell whether a helper's table says where a module's name is now."""
        for node in module.entry.get("body", ()):
            helper = self._run.imports.module(node[2]) if node[0] == "f" else None
            if helper is not None and f"{module.name}:{name}" in self._tables(helper)[0]:
                return True
        return False

    def _tables(self, helper: Module) -> tuple[set[str], set[str], bool]:
        """Return the keys of a module's tables, the texts in its lists, and whether that is all."""
        self._run.looks.look(helper)
        keys: set[str] = set()
        texts: set[str] = set()
        whole = True
        for variable, (_, value) in helper.names.bound.items():
            if value is None:
                whole = whole and not variable.isupper()
            elif value[0] == "t":
                keys |= value[1]
            elif value[0] == "c" and isinstance(value[1], tuple):
                texts.update(one for one in value[1] if isinstance(one, str))
        return keys, texts, whole

    def _told(self, module: Module, name: str) -> bool | None:
        """Tell whether the tables of a helper that makes ``__getattr__`` have a name.

        Such as pydantic's, whose keys are ``module:name``.  None where there are no such tables,
        or not all are known.
        """
        helper = self._helper(module)
        if helper is None:
            return None
        known, listed, whole = self._tables(helper)
        if not whole:
            return None
        if f"{module.name}:{name}" in known:
            return True
        top = module.name.partition(".")[0]
        ours = (f"{top}:", f"{top}.")
        about = any(one.startswith(ours) and one.count(":") == 1 for one in (*known, *listed))
        return False if known and about else None

    def _helper(self, module: Module) -> Module | None:
        """Return the module whose function is called to make ``__getattr__`` of a module's name."""
        body = module.entry.get("body", ())
        made = [node[2] for node in body if node[0] == "=" and node[1] == "__getattr__"]
        if len(made) != 1 or made[0][0] != "call" or made[0][2] != [["n", "__name__"]]:
            return None
        for node in body:
            if node[0] == "f" and any(alias == made[0][1] for _, alias in node[3]):
                return self._run.imports.module(node[2])
        return None

    def _ask(self, module: Module, entry: Any, name: str) -> Value:
        return self._run.executor.call(
            entry, Frame(module, "__getattr__", foreign=True), [constant(name)], {}
        )

    def _raises(self, action: Callable[[], Value]) -> bool | None:
        """Tell whether an action surely raises or surely returns; None: unknown."""
        saved = self._run.clauses, self._run.unsure, self._run.asking
        clause = self._run.new_clause([[["AttributeError"], []], [None, []]])
        clause.unsure = 0
        self._run.clauses, self._run.unsure, self._run.asking = [clause], 0, True
        self._run.evaluator.depth += 1
        try:
            value = action()
        except CaughtError as error:
            return error.handler == 0 or error.failure.kind == "raises" or None
        except (ReturnedError, BranchEndError, RecursionError):
            return None
        finally:
            self._run.evaluator.depth -= 1
            self._run.clauses, self._run.unsure, self._run.asking = saved
        return None if clause.maybe or is_unknown(value) else False
