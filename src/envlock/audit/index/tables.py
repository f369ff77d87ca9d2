"""Names that a module takes from tables: ``globals().update(TABLE)``."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OUTSIDE = frozenset({
    "__dict__", "__import__", "CDLL", "ctypes", "dir", "environ", "eval", "exec", "getattr", "glob",
    "import_module", "inspect", "iterdir", "json", "listdir", "load", "loads", "locals", "open",
    "pkgutil", "read", "read_text", "scandir", "setattr", "vars", "walk", "yaml",
})  # fmt: skip
"""What brings names from elsewhere: files, the environment, other things' attributes."""


def updates(tree: ast.Module) -> tuple[list[str], list[str], list[ast.stmt]] | None:
    """Return what ``globals().update(...)`` puts into a module, and the statements that do.

    First the names of other modules' things that go into it, then the keys of the tables in the
    code that makes it, and after a ``=`` the other texts there, which are keys as they are or
    not at all.  None where there is no such statement, or where its keys may come from a
    file, the environment, or attributes of something else.
    """
    found = [node for node in tree.body if _updated(node) is not None]
    if not found:
        return None
    made, imported = _bindings(tree.body)
    roots: set[str] = set()
    texts: set[str] = set()
    left: list[ast.AST] = [value for node in found if (value := _updated(node)) is not None]
    seen: set[str] = set()
    while left:
        for node in _without_docstrings(left.pop()):
            name = _mentioned(node)
            if name in _OUTSIDE:
                return None
            texts.update(_keys(node))
            if isinstance(node, ast.Name) and name not in seen:
                seen.add(name)
                left += made.get(name, ())
                roots.update({name} & imported)
    return (sorted(roots), sorted(texts), found) if roots or texts else None


def _updated(node: ast.stmt) -> ast.expr | None:
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords:
        plain = type(call.args[0]) is not ast.Starred
        return call.args[0] if plain and ast.unparse(call.func) == "globals().update" else None
    return None


def _bindings(body: Iterable[ast.stmt]) -> tuple[dict[str, list[ast.AST]], set[str]]:
    """Return what makes each name of a body, and the names that ``from`` statements bring."""
    made: dict[str, list[ast.AST]] = defaultdict(list)
    imported: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            made[node.name].append(node)
        elif isinstance(node, ast.ImportFrom):
            imported.update(alias.asname or alias.name for alias in node.names)
        elif not isinstance(node, ast.Import):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name):  # changed in a loop, or by an item, as well
                    made[inner.id].append(node)
    return made, imported


def _without_docstrings(node: ast.AST) -> Iterator[ast.AST]:
    stack = [node]
    while stack:
        inner = stack.pop()
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
            continue
        yield inner
        stack.extend(ast.iter_child_nodes(inner))


def _mentioned(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _keys(node: ast.AST) -> list[str]:
    """Return the texts that a node brings: keys, members of classes, words of calls, others."""
    if isinstance(node, ast.Constant):
        text = node.value if isinstance(node.value, str) else ""
        return [f"={text}"] if text.isidentifier() else []
    if isinstance(node, ast.keyword):
        return [f"={node.arg}"] if node.arg else []
    if isinstance(node, ast.Dict | ast.Subscript):
        keys = node.keys if isinstance(node, ast.Dict) else [node.slice]
        constants = (key.value for key in keys if isinstance(key, ast.Constant))
        return [key for key in constants if isinstance(key, str)]
    if isinstance(node, ast.ClassDef):
        bound = (one for one in node.body if isinstance(one, ast.Assign))
        return [t.id for one in bound for t in one.targets if isinstance(t, ast.Name)]
    return []
