"""Marks of code that makes names or modules while it runs, found in the text.

Each mark is a plain text that is quickly found or not, and a pattern that begins with it.
Patterns that begin with anything else would be tried at every character.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_HANDED = r"^(?!print\b)[\w.]+\(\s*__name__,"  # apipkg.initpkg(__name__, {...}): it is replaced
_ITSELF = (
    r"(?!__name__\s*\]\s*=\s*_?[A-Z]\w*\()"  # by an object, which finds what lies in its folder
)
_ANOTHER = r"(?![\"']\w*[\"']\s*\])"  # pymysql as MySQLdb: nothing below pymysql
_NAMES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (hint, re.compile(pattern, re.MULTILINE))
    for hint, pattern in (
        ("globals()", r"globals\(\)\s*(\[[^\]]*\]\s*=[^=]|\.update|\.setdefault|\.__|[,)])"),
        ("globals()", r"globals\(\)(?<!\wglobals\(\))[ \t]*(#|;|\s*$)"),
        ("modules[", r"modules(?<!\wmodules)\[\s*__(name|package)__\s*\]"),
        ("sys.modules", r"sys\.modules\s*\[\s*__(name|package)__\s*\]"),
        ("sys.modules", r"sys\.modules\.get\(__name__"),
        ("del sys.modules", r"del sys\.modules"),
        ("setattr(", r"setattr\(\s*(sys\.modules|\w*mod(ule)?\b|this\b|__name__)"),
        ("exec", r"^[ \t]*(six\.)?exec_?[ \t]*\("),
        ("import_module(__", r"import_module\(__(name|package)__\)"),
        ("__import__(__name__)", r"__import__\(__name__\)"),
        ("attach", r"attach(?<!\wattach)(_stub)?\("),
        (" in dir(", r"for \w+ in dir\("),
        ("__name__,", _HANDED),
        (".export", r"^@\w+\.export[ \t]*$"),
    )
)
_CHILDREN: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (hint, re.compile(pattern, re.MULTILINE))
    for hint, pattern in (
        ("sys.modules", rf"sys\.modules\s*\[\s*{_ITSELF}[^\]\s\"'][^\]]*\]\s*=[^=]"),
        ("sys.modules[f", r"sys\.modules\[f"),
        ("modules.update(", r"modules\.update\("),
        ("sys.modules[", r"sys\.modules\[[\"'][^\]]*[\"']\s*[+%.]"),
        ("modules.setdefault(", r"modules\.setdefault\("),
        ("meta_path", r"meta_path"),
        ("__path__", r"__path__\s*[.+=]"),
        ("__path__", r"^[ \t]*__path__\b"),
        ("sys.path", r"sys\.path\b"),
        ("modules[", rf"modules(?<!\wmodules)\[\s*{_ITSELF}{_ANOTHER}[^\]]*\]\s*=[^=]"),
        ("__name__,", _HANDED),
    )
)
_OWN: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (hint, re.compile(pattern))
    for hint, pattern in (
        ("locals()", r"locals\(\)\s*(\[|\.update)"),
        ("vars()", r"vars\(\)\s*(\[|\.update)"),
    )
)
_ALIAS = re.compile(r"sys\.modules\[f[\"']([\w.]+)\.\{(\w+)\}[\"']\]\s*=\s*sys\.modules\[\2\]")
_NAME_HINTS = tuple(dict.fromkeys(hint for hint, _ in _NAMES))
_CHILD_HINTS = ("modules", "meta_path", "__path__", "sys.path", "__name__,")
_SCANS = ("listdir", "scandir", "iterdir", "glob", "iter_modules", "walk")
_LOADS = ("import_module", "exec_module", "__import__", "load_module", "find_module")
SCANS = re.compile(r"\b(listdir|scandir|iterdir|r?glob|iter_modules|walk_packages|walk)\b")
"""Names of functions that list a directory."""
_LOAD = re.compile(r"\b(import_module|exec_module|__import__|load_module|find_module)\b")


def may_make_names(text: str) -> bool:
    """Tell whether :func:`makes_names` is worth asking."""
    return any(hint in text for hint in _NAME_HINTS)


def makes_names(text: str) -> bool:
    """Tell whether code puts names into its module's namespace unseen."""
    return _any(_NAMES, text)


def makes_own_names(text: str, inner: Callable[[], list[tuple[int, int]]]) -> bool:
    """Tell whether a module's body puts names into its own namespace by ``locals()``.

    inner: returns the lines (from 1, both ends included) of what has a namespace of its own.
    """
    if not _any(_OWN, text):
        return False
    lines = text.split("\n")
    for first, last in inner():
        lines[first - 1 : last] = [""] * (last - first + 1)
    return _any(_OWN, "\n".join(lines))


def makes_children(text: str) -> bool:
    """Tell whether code puts modules into ``sys.modules`` or changes where they are found."""
    return any(hint in text for hint in _CHILD_HINTS) and _any(_CHILDREN, text)


def aliases(text: str) -> list[str]:
    """Return the packages that get other modules under their name in ``sys.modules``."""
    return sorted(match[1] for match in _ALIAS.finditer(text))


def scans_and_loads(text: str) -> bool:
    """Tell whether code names both a way to list a directory and one to load a module."""
    if not any(word in text for word in _LOADS) or not any(word in text for word in _SCANS):
        return False
    return bool(SCANS.search(text)) and bool(_LOAD.search(text))


def scanned_files(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str] | None:
    """Return the file names that a function loads from the directory that it scans."""
    files: list[str] = []
    scans = own = False
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute | ast.Name):
            name = inner.attr if isinstance(inner, ast.Attribute) else inner.id
            scans |= bool(SCANS.fullmatch(name))
            own |= name in {"__file__", "__path__"}
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            name = inner.value
            files += [name] if name.endswith(".py") and len(name) > 3 and "*" not in name else []
    return files if scans and own else None


def _any(marks: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> bool:
    return any(hint in text and pattern.search(text) for hint, pattern in marks)
