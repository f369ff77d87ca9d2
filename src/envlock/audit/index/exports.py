"""What a module says of its names: ``__all__``, and names that a helper loads later."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from envlock.audit.index.expressions import dotted, reduce

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.audit.nodes import Node

_UNKNOWN: Node = ["a", "?", None]
_OWN_NAMES = re.compile(r"\[(\w+) for \1 in dir\(\) if not \1\.startswith\('_'\)\]")


def listed(value: ast.expr, grows: Callable[[str], bool]) -> list[Node]:
    """Return the nodes of ``__all__ = value``; sums are taken apart.

    grows: does anything add to a list of that name?
    """
    if _OWN_NAMES.fullmatch(ast.unparse(value) if type(value) is ast.ListComp else ""):
        return [["a", "dir", None]]
    nodes = [_named(part, grows) or added_all(part) for part in _summands(value)]
    return [["a", "=", []], *nodes] if _UNKNOWN not in nodes else [_UNKNOWN]


def _named(value: ast.expr, grows: Callable[[str], bool]) -> Node | None:
    """Return the node of a list that has a plain name, and stays what it was."""
    plain = type(value) is ast.Name and not grows(value.id)
    return ["a", "value", ast.unparse(value)] if plain else None


def _summands(value: ast.expr) -> list[ast.expr]:
    if type(value) is ast.BinOp and type(value.op) is ast.Add:
        return [*_summands(value.left), *_summands(value.right)]
    if type(value) is ast.Call:
        called = dotted(value.func) or ""
        if called in {"list", "sorted", "tuple"} and len(value.args) == 1:
            return _summands(value.args[0])
        if called.endswith(".__all__.copy") and type(value.func) is ast.Attribute:
            return [value.func.value]
    return [value]


def table_all(call: ast.Call) -> Node | None:
    """Return the node of ``__all__.extend(...)`` and its like."""
    target = dotted(call.func)
    if target == "__all__.insert":
        return _UNKNOWN
    if target in {"__all__.append", "__all__.extend", "__all__.remove"} and len(call.args) == 1:
        if target.endswith("append"):
            reduced = reduce(call.args[0])
            return ["a", "+", [reduced[1]]] if reduced[0] == "c" else _UNKNOWN
        return added_all(call.args[0]) if target.endswith("extend") else _UNKNOWN
    return None


def added_all(value: ast.expr) -> Node:
    """Return what ``__all__ += value`` means."""
    reduced = reduce(value)
    if reduced[0] == "tup" and all(part[0] == "c" for part in reduced[1]):
        return ["a", "+", [part[1] for part in reduced[1]]]
    if reduced[0] in {"keys", "set"}:
        return ["a", "+", reduced[1]]
    if reduced[0] == "n" and reduced[1].endswith(".__all__"):
        return ["a", "from", reduced[1].removesuffix(".__all__")]
    return _UNKNOWN


def attached(tree: ast.Module, stub: bytes) -> tuple[list[str], ast.Assign] | None:
    """Return the names that a module gets from lazy_loader (SPEC 1), and the statement.

    ``__getattr__, __dir__, __all__ = lazy.attach(__name__, SUBMODULES, {SUBMODULE: NAMES})``, or
    ``lazy.attach_stub(__name__, __file__)``, which reads the stub beside the source.  None
    where there is no such statement, or it cannot be told what it brings.
    """
    for node in tree.body:
        if type(node) is not ast.Assign or type(node.value) is not ast.Call:
            continue
        target, last = node.targets[0], (dotted(node.value.func) or "").rpartition(".")[2]
        if type(target) is not ast.Tuple or len(node.targets) != 1:
            continue
        names = [one.id for one in target.elts if type(one) is ast.Name]
        if names[:1] == ["__getattr__"] and last in {"attach", "attach_stub"}:
            found = _stubbed(stub) if last == "attach_stub" else _given(node.value)
            return (sorted(found), node) if found is not None else None
    return None


def _given(call: ast.Call) -> set[str] | None:
    """Return the names in the arguments of ``attach``, which are plain texts mostly."""
    words = {word.arg: word.value for word in call.keywords}
    parts = dict(zip(("package_name", "submodules", "submod_attrs"), call.args, strict=False))
    parts |= {name: value for name, value in words.items() if name is not None}
    try:
        submodules, attributes = (
            ast.literal_eval(parts[name]) if name in parts else None
            for name in ("submodules", "submod_attrs")
        )
        return {*(submodules or ()), *(n for names in (attributes or {}).values() for n in names)}
    except (ValueError, TypeError, AttributeError):
        return None


def _stubbed(stub: bytes) -> set[str] | None:
    """Return the names that a stub imports from its own package, as lazy_loader reads it."""
    try:
        tree = ast.parse(stub) if stub else None
    except (SyntaxError, ValueError):
        return None
    if tree is None:
        return None
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports if node.level == 1 for alias in node.names}
    return None if "*" in names else names
