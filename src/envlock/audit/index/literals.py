"""Literal lists and tables that have a name at module level, and what is added to tables."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from envlock.audit.index.expressions import UNKNOWN, Reduced, reduce

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.audit.nodes import Node

_VIEWS = frozenset({"items", "keys", "values", "copy"})
_SAME_LENGTH = frozenset({"dict", "enumerate", "list", "reversed", "set", "sorted", "tuple"})
_TAKES = frozenset({"clear", "difference_update", "discard", "pop", "popitem", "remove"})
_LEAVES = (ast.Break, ast.Continue, ast.Return, ast.Raise, ast.Yield)


class Literals:
    """Follows a module's body in the order in which it runs.

    grows: does anything add to a list of that name?
    """

    def __init__(self, grows: Callable[[str], bool]) -> None:
        self._grows = grows
        self._lists: dict[str, ast.expr] = {}
        self._tables: set[str] = set()
        self._filled: set[str] = set()

    def bound(self, name: str, value: ast.expr) -> None:
        """Note what a name is bound to."""
        self._lists.pop(name, None)
        self._tables.discard(name)
        self._filled.discard(name)
        if _is_filled(value):
            self._filled.add(name)
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

    def comes_once(self, loop: ast.For) -> bool:
        """Tell whether a loop's body runs to its end once at least: over what is not empty."""
        over = loop.iter
        while isinstance(over, ast.Call) and not over.keywords:
            if isinstance(over.func, ast.Attribute) and over.func.attr in _VIEWS and not over.args:
                over = over.func.value
            elif ast.unparse(over.func) in _SAME_LENGTH and over.args:
                over = over.args[0]
            else:
                break
        named = isinstance(over, ast.Name) and over.id in self._filled
        if not named and not _is_filled(over):
            return False
        return not any(isinstance(node, _LEAVES) for one in loop.body for node in ast.walk(one))

    def updated(self, call: ast.Call) -> Node | None:
        """Return the node of ``TABLE.update(...)``."""
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if not isinstance(owner, ast.Name):
            return None
        if ast.unparse(call.func).rpartition(".")[2] in _TAKES:
            self._filled.discard(owner.id)
        if owner.id not in self._tables:
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


def _is_filled(value: ast.expr) -> bool:
    """Tell whether an expression makes a list, a set or a table that is not empty."""
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return any(not isinstance(one, ast.Starred) for one in value.elts)
    if isinstance(value, ast.Dict):
        return any(key is not None for key in value.keys)
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "dict":
        return any(word.arg is not None for word in value.keywords)
    return False
