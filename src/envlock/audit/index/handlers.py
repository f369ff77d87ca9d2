"""Which exceptions a clause catches, by name."""

from __future__ import annotations

import ast
import re

from envlock.audit.index.expressions import dotted

# Context managers of the standard library that let every exception pass.
_TRANSPARENT = frozenset(
    {
        "catch_warnings",
        "open",
        "Lock",
        "RLock",
        "closing",
        "ExitStack",
        "redirect_stdout",
        "redirect_stderr",
        "TemporaryDirectory",
        "nullcontext",
        "Path",
        "path",
        "as_file",
        "lock",
        "_lock",
        "ZipFile",
        "ThreadPoolExecutor",
    }
)

_SETUP = re.compile(r"_+[A-Z0-9_]+_SETUP_+")


def handler_types(node: ast.expr | None) -> list[str] | None:
    """Return the names of the classes an ``except`` names; None for a bare one."""
    if node is None:
        return None
    elements = node.elts if type(node) is ast.Tuple else [node]
    return [(dotted(element) or "?").rpartition(".")[2] for element in elements]


def exception_types(node: ast.expr, known: list[str] | None) -> list[str] | None:
    """Add what a context manager swallows to ``known``; None: nobody can tell."""
    if known is None:
        return None
    target = dotted(node.func if type(node) is ast.Call else node)
    last = (target or "?").rpartition(".")[2]
    if type(node) is ast.Call and last in {"suppress", "raises", "assertRaises"}:
        types = [(dotted(arg) or "?").rpartition(".")[2] for arg in node.args]
        return [*known, *types]
    return known if last in _TRANSPARENT else None


def without_setup(node: ast.Try) -> list[ast.stmt] | None:
    """Return what runs of ``try: __SKLEARN_SETUP__`` and ``except NameError``.

    A package asks so whether its own setup.py imports it, which alone puts the name into
    builtins: whoever installed the package gets the NameError. None for any other clause.
    """
    first = node.body[0]
    asked = type(first) is ast.Expr and type(first.value) is ast.Name
    if not asked or len(node.body) > 1 or not _SETUP.fullmatch(ast.unparse(first)):
        return None
    caught = (one.body for one in node.handlers if "NameError" in (handler_types(one.type) or ()))
    return next(caught, None)
