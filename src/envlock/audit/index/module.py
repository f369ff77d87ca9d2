"""One Python source, indexed."""

from __future__ import annotations

import ast
import re
import sys
from typing import Any

from envlock.audit.index.dynamic import (
    aliases,
    executes,
    hooks,
    makes_children,
    makes_names,
    makes_neighbours,
    makes_own_names,
    may_execute,
    may_make_names,
)
from envlock.audit.index.exports import attached
from envlock.audit.index.expressions import dotted
from envlock.audit.index.model import PYTHON
from envlock.audit.index.quick import together
from envlock.audit.index.skeleton import Skeleton
from envlock.audit.index.tables import updates
from envlock.audit.index.targets import bound_names
from envlock.audit.index.uses import Uses

SOURCE_LIMIT = 4 * 1024 * 1024
"""Sources longer than this many bytes are not read."""
TOKENS_LIMIT = 600_000
"""Sources with more words and marks than this are not read: a tree takes 1 KiB for each.

The most that was seen in earnest are 240,000, in torch.
"""

_MARKS = b"\n" + bytes(code for code in range(33, 127) if chr(code) not in "_\"'#\\"
                       and not chr(code).isalnum())  # fmt: skip
_SPACES = bytes.maketrans(_MARKS, b" " * len(_MARKS))


_MODULE = ["types.ModuleType"]


class SkippedError(Exception):
    """A source that is left out; the text says why."""


def index_source(source: bytes, module: str, *, package: bool, stub: bytes = b"") -> dict[str, Any]:
    """Return the index of one source; raises SkippedError and nothing else.

    stub: what stands in the ``.pyi`` beside it, where the source asks for that.
    One that is no Python as envlock's own parses it has ``invalid``, the reason, and a body that
    fails in targets that are not newer: since 3.7, which made ``async`` a keyword, no Python
    gave up syntax that the one before it had.
    """
    if len(source) > SOURCE_LIMIT:
        raise SkippedError(f"{len(source)} bytes are more than is read")
    if len(source) > TOKENS_LIMIT and (count := _tokens(source)) > TOKENS_LIMIT:
        raise SkippedError(f"{count} words and marks are more than is read")
    if b"\0" in source:
        raise SkippedError("no text, as it holds a null byte")
    try:
        return _index(source, module, package, stub)
    except RecursionError:
        raise SkippedError("nested too deeply") from None
    except MemoryError:
        raise SkippedError("too large to parse") from None
    except SyntaxError as error:
        why = f"not understood as Python {PYTHON}, on which envlock runs: {error.msg}"
        body = [["S", error.lineno or 1, [*sys.version_info[:2]]]]
        return {"body": body, "functions": {}, "invalid": why}
    except (ValueError, LookupError, OverflowError) as error:
        raise SkippedError(f"not understood as Python: {error}") from None


def _tokens(source: bytes) -> int:
    """Return about how many words and marks there are, those in texts included."""
    marks = len(source) - len(source.translate(None, _MARKS))
    return marks + len(source.translate(_SPACES).split())


def _index(source: bytes, module: str, package: bool, stub: bytes) -> dict[str, Any]:
    tree = ast.parse(source)
    text = source.decode("utf-8", "replace")
    base = module if package else module.rpartition(".")[0]
    skeleton = Skeleton(tree, text, Uses(source, text), base)
    listed = [["a", "?", None]] if skeleton.lists else []
    found: dict[str, Any] = {"body": skeleton.body + listed, "functions": skeleton.functions}
    asked = together(entry[4] for entry in skeleton.functions.values())
    if asked is not None:
        found["asked"] = asked
    lazy = attached(tree, stub) if "attach" in text and "__getattr__" in text else None
    found["body"] = _with_made(tree, text, skeleton, found["body"], lazy)
    own = f"setattr({module.rpartition('.')[2]}," in text
    own = own or makes_own_names(text, lambda: _inner(tree))
    if own or (may_make_names(text) and _makes_names(tree, text, skeleton.decided)):
        found["open"] = True
    if "sys.modules[f" in text:
        found["aliases"] = aliases(text)
    if makes_children(text):
        found["children"] = True
    elif makes_neighbours(text):
        found["searches"] = True
    if "children" in found and "def find_module" in text and "find_spec" not in text:
        found["stale"] = True
    if skeleton.globals:
        found["globals"] = sorted(skeleton.globals)
    if hooks(text):
        found["hook"] = True
        found["strings"] = sorted(_strings(tree))
    if "__getattr__" in text and _binds_getattr(tree.body):
        found["getattr"] = True
        found["strings"] = sorted(_strings(tree))
        typed = typed_names(tree.body) if not _elsewhere(tree) else set()
        if lazy or (typed and typed.issubset(found["strings"])) or _tabled(tree):
            found["closed"] = True
    return found


def _with_made(
    tree: ast.Module,
    text: str,
    skeleton: Skeleton,
    body: list[Any],
    lazy: tuple[list[str], ast.Assign] | None,
) -> list[Any]:
    """Return a body with the names that the module is known to make while it runs.

    Statements that make no others are noted as decided.
    """
    decided: list[ast.stmt] = []
    if lazy is not None:
        names, statement = lazy
        body += [["b", names], ["a", "=", names]]
        decided.append(statement)
    if "].__class__" in text and (another := _reclassed(tree)) is not None:
        names, node = another
        body.append(["b", names])
        decided.append(node)
    if "globals().update(" in text and (updated := updates(tree)) is not None:
        *given, statements = updated
        body = [["T", [], []], *body, ["T", *given]]
        decided += statements
    skeleton.decided += [(one.lineno, one.end_lineno or one.lineno) for one in decided]
    return body


def _makes_names(tree: ast.Module, text: str, decided: list[tuple[int, int]]) -> bool:
    eager = _eager(tree, text, decided)
    made = makes_names(eager)
    if made and "setattr(" in eager and not _names_itself(tree):
        made = makes_names(eager.replace("setattr(", "("))  # of other modules, whichever these are
    return made or (may_execute(text) and executes(tree))


def _eager(tree: ast.Module, text: str, decided: list[tuple[int, int]]) -> str:
    """Return the text without what is known: ``__getattr__`` stores only what it gave before."""
    lazy = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "__getattr__")
    listed = (n for n in tree.body if isinstance(n, ast.Assign) and _lists_own_names(n))
    plain = (
        (node.lineno, node.end_lineno or node.lineno)
        for node in (*lazy, *listed, *_docstrings(tree), *_itself(tree, decided))
    )
    spans = [*decided, *plain]
    if not spans:
        return text
    lines = text.split("\n")
    for first, last in spans:
        lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(lines)


def _names_itself(tree: ast.Module) -> bool:
    """Tell whether code asks how its module is called, or is given a module by a plain text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in {"__name__", "__package__", "__spec__"}:
            return True
        if isinstance(node, ast.Subscript) and type(node.slice) is ast.Constant:  # noqa: SIM102
            if dotted(node.value) == "sys.modules":
                return True
    return False


def _reclassed(tree: ast.Module) -> tuple[list[str], ast.stmt] | None:
    """Return what ``sys.modules[__name__].__class__ = X`` adds, where X asks nobody for names."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign) and type(node.value) is ast.Name:
            told = [ast.unparse(target) for target in node.targets]
            other = classes.get(node.value.id)
            if told == ["sys.modules[__name__].__class__"] and other is not None:
                inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
                names = [one.name for one in other.body if isinstance(one, inner)]
                assigned = [one for one in other.body if isinstance(one, ast.Assign)]
                names += [n for one in assigned for t in one.targets for n in bound_names(t)]
                asks = {"__getattr__", "__getattribute__"}.intersection(names)
                plain = [dotted(base) for base in other.bases] in (["ModuleType"], _MODULE)
                return (names, node) if plain and not asks else None
    return None


def _itself(tree: ast.Module, decided: list[tuple[int, int]]) -> list[ast.stmt]:
    """Return ``module = sys.modules[__name__]`` where only what is decided uses that."""
    found: list[ast.stmt] = []
    for node in tree.body if decided else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.value) == "sys.modules[__name__]":
            names = [name for target in node.targets for name in bound_names(target)]
            uses = (n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in names)
            known = (*decided, (node.lineno, node.lineno))
            if all(any(first <= line <= last for first, last in known) for line in uses):
                found.append(node)
    return found


def _inner(tree: ast.Module) -> list[tuple[int, int]]:
    """Return the lines of a module's functions and classes, wherever in its body they stand."""
    found: list[tuple[int, int]] = []
    stack: list[ast.AST] = [tree]
    while stack:
        for node in ast.iter_child_nodes(stack.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.append((node.lineno, node.end_lineno or node.lineno))
            elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
                stack.append(node)
    return found


def _docstrings(tree: ast.Module) -> list[ast.Expr]:
    """Return the texts that stand as statements at the start of a body."""
    bodies = [tree.body]
    bodies += [n.body for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return [
        body[0]
        for body in bodies
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    ]


def _tabled(tree: ast.Module) -> bool:
    """Tell whether ``__getattr__ = make(__name__, TABLE)`` answers from a literal table."""
    tables: set[str] = set()
    stack: list[ast.stmt] = list(reversed(tree.body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If):
            stack.extend(reversed([*node.body, *node.orelse]))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            if all(isinstance(key, ast.Constant) for key in node.value.keys):
                tables.update(name for target in node.targets for name in bound_names(target))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            names = [name for target in node.targets for name in bound_names(target)]
            given = [dotted(argument) for argument in node.value.args]
            if "__getattr__" in names and given[:1] == ["__name__"] and len(given) == 2:
                return given[1] in tables
    return False


def _elsewhere(tree: ast.Module) -> bool:
    """Tell whether ``__getattr__ = make(__name__)``: the names are in a table of the helper's."""
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and not node.value.keywords
        and [dotted(argument) for argument in node.value.args] == ["__name__"]
        and any("__getattr__" in bound_names(target) for target in node.targets)
        for node in tree.body
    )


def _lists_own_names(node: ast.Assign) -> bool:
    """``__all__ = [name for name in dir() if ...]`` binds nothing else."""
    only = len(node.targets) == 1 and bound_names(node.targets[0]) == ["__all__"]
    return only and isinstance(node.value, ast.ListComp)


def typed_names(statements: list[ast.stmt]) -> set[str]:
    """Return what is imported for type checkers only; a star stands for anything."""
    found: set[str] = set()
    for node in statements:
        if isinstance(node, ast.If) and (dotted(node.test) or "").endswith("TYPE_CHECKING"):
            for inner in node.body:
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    found.update(alias.asname or alias.name for alias in inner.names)
    return found


def _binds_getattr(statements: list[ast.stmt]) -> bool:
    """Tell whether module-level statements bind ``__getattr__`` (PEP 562)."""
    for node in statements:
        if isinstance(node, ast.If | ast.Try):
            inner = [*node.body, *node.orelse]
            if isinstance(node, ast.Try):
                inner += [*node.finalbody, *(s for h in node.handlers for s in h.body)]
            if _binds_getattr(inner):
                return True
        elif isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            return True
        elif isinstance(node, ast.ImportFrom):
            if any((alias.asname or alias.name) == "__getattr__" for alias in node.names):
                return True
        elif isinstance(node, ast.Assign):
            names = [name for target in node.targets for name in bound_names(target)]
            if "__getattr__" in names:
                return True
    return False


def _strings(tree: ast.Module) -> set[str]:
    """Return the identifiers that stand as strings outside ``__all__``."""
    found: set[str] = set()
    stack: list[ast.AST] = [
        node
        for node in tree.body
        if not (
            isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
            and any(
                isinstance(target, ast.Name) and target.id == "__all__"
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            )
        )
    ]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and len(node.value) < 300:
                found.update(part for part in re.split(r"[^\w]+", node.value) if part)
        else:
            stack.extend(ast.iter_child_nodes(node))
    return found
