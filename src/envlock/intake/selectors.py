"""Selectors of conda's files: ``# [linux and not aarch64]`` behind a line, and ``sel(linux)``."""

from __future__ import annotations

import ast

_TRUE = {
    "linux-64": {"linux", "linux64", "unix", "x86_64", "x86"},
    "linux-aarch64": {"linux", "aarch64", "unix"},
}
_OTHERS = {"win", "win32", "win64", "osx", "osx64", "arm64", "ppc64le", "s390x"}
_KNOWN = _OTHERS.union(*_TRUE.values())


def applies(selector: str, platform: str) -> bool | None:
    """Tell whether a selector is for a platform; None for one that is not understood."""
    try:
        return _holds(ast.parse(selector.strip(), mode="eval").body, _TRUE[platform])
    except (SyntaxError, ValueError, RecursionError):
        return None


def _holds(tree: ast.expr, true: set[str]) -> bool:
    """Return what an expression is; raises ValueError for what is none of platforms."""
    if isinstance(tree, ast.Name) and tree.id in _KNOWN:
        return tree.id in true
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
        return not _holds(tree.operand, true)
    if isinstance(tree, ast.BoolOp):
        found = [_holds(value, true) for value in tree.values]
        return all(found) if isinstance(tree.op, ast.And) else any(found)
    raise ValueError("not an expression of platforms")
