"""One Python source, indexed."""

from __future__ import annotations

import ast
import re
from typing import Any

from envlock.audit.index.dynamic import aliases, makes_children, makes_names, may_make_names
from envlock.audit.index.skeleton import Skeleton
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


class SkippedError(Exception):
    """A source that is left out; the text says why."""


def index_source(source: bytes, module: str, *, package: bool) -> dict[str, Any]:
    """Return the index of one source; raises SkippedError and nothing else."""
    if len(source) > SOURCE_LIMIT:
        raise SkippedError(f"{len(source)} bytes are more than is read")
    if len(source) > TOKENS_LIMIT and (count := _tokens(source)) > TOKENS_LIMIT:
        raise SkippedError(f"{count} words and marks are more than is read")
    try:
        return _index(source, module, package)
    except RecursionError:
        raise SkippedError("nested too deeply") from None
    except MemoryError:
        raise SkippedError("too large to parse") from None
    except SyntaxError as error:
        raise SkippedError(f"not understood as Python: {error.msg}") from None
    except (ValueError, LookupError, OverflowError) as error:
        raise SkippedError(f"not understood as Python: {error}") from None


def _tokens(source: bytes) -> int:
    """Return about how many words and marks there are, those in texts included."""
    marks = len(source) - len(source.translate(None, _MARKS))
    return marks + len(source.translate(_SPACES).split())


def _index(source: bytes, module: str, package: bool) -> dict[str, Any]:
    tree = ast.parse(source)
    text = source.decode("utf-8", "replace")
    base = module if package else module.rpartition(".")[0]
    skeleton = Skeleton(tree, text, Uses(source, text), base)
    found: dict[str, Any] = {"body": skeleton.body, "functions": skeleton.functions}
    own = f"setattr({module.rpartition('.')[2]}," in text
    if own or (may_make_names(text) and makes_names(_eager(tree, text, skeleton.decided))):
        found["open"] = True
    if "sys.modules[f" in text:
        found["aliases"] = aliases(text)
    if makes_children(text):
        found["children"] = True
    if skeleton.globals:
        found["globals"] = sorted(skeleton.globals)
    if "meta_path" in text:
        found["hook"] = True
        found["strings"] = sorted(_strings(tree))
    if "__getattr__" in text and _binds_getattr(tree.body):
        found["getattr"] = True
        found["strings"] = sorted(_strings(tree))
    return found


def _eager(tree: ast.Module, text: str, decided: list[tuple[int, int]]) -> str:
    """Return the text without what is known: ``__getattr__`` stores only what it gave before."""
    lazy = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "__getattr__")
    spans = [*decided, *((node.lineno, node.end_lineno or node.lineno) for node in lazy)]
    if not spans:
        return text
    lines = text.split("\n")
    for first, last in spans:
        lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(lines)


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
