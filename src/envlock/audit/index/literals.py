"""Literal lists and tables that have a name at module level, and what is added to tables."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from envlock.audit.index.expressions import UNKNOWN, Reduced, reduce

if TYPE_CHECKING:
    from collections.abc import Callable

Node = list[Any]


class Literals:
    """Follows a module's body in the order in which it runs.

    grows: does anything add to a list of that name?
    """

    def __init__(self, grows: Callable[[str], bool]) -> None:
        self._grows = grows
        self._lists: dict[str, ast.expr] = {}
        self._tables: set[str] = set()

    def bound(self, name: str, value: ast.expr) -> None:
        """Note what a name is bound to."""
        self._lists.pop(name, None)
        self._tables.discard(name)
        if isinstance(value, ast.List | ast.Tuple):
            self._lists[name] = value
        elif isinstance(value, ast.Dict | ast.DictComp):
            self._tables.add(name)

    def reduced(self, value: ast.expr) -> Reduced:
        """Reduce a value; the list that a comprehension goes over may have a name."""
        if isinstance(value, ast.DictComp):
            first = value.generators[0]
            known = self._lists.get(first.iter.id) if isinstance(first.iter, ast.Name) else None
            if known is not None and not self._grows(ast.unparse(first.iter)):
                loop = ast.comprehension(first.target, known, first.ifs, first.is_async)
                value = ast.DictComp(value.key, value.value, [loop, *value.generators[1:]])
        return reduce(value)

    def updated(self, call: ast.Call) -> Node | None:
        """Return the node of ``TABLE.update(...)``."""
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if not isinstance(owner, ast.Name) or owner.id not in self._tables:
            return None
        told = ast.unparse(call.func).endswith(".update") and len(call.args) == 1
        plain = told and not call.keywords and isinstance(call.args[0], ast.Dict | ast.DictComp)
        return ["U", owner.id, self.reduced(call.args[0]) if plain else UNKNOWN]

    def stored(self, target: ast.Subscript) -> Node | None:
        """Return the node of ``TABLE[key] = ...``."""
        owner, key = target.value, target.slice
        if not isinstance(owner, ast.Name) or owner.id not in self._tables:
            return None
        text = key.value if isinstance(key, ast.Constant) else None
        return ["U", owner.id, ["keys", [text]] if isinstance(text, str) else UNKNOWN]
