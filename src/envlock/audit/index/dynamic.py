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

# apipkg.initpkg(__name__, {...}), old, new = recreate_module(__name__, ...): it is replaced
_HANDED = r"^(?!print\b)([a-z]\w*, \w+ = )?[\w.]+\(\s*(#.*\s*)?__name__,"
_ITSELF = (
    r"(?!__name__\s*\]\s*=\s*_?[A-Z]\w*\()"  # by an object, which finds what lies in its folder
)
_ANOTHER = r"(?![\"']\w*[\"']\s*\])"  # pymysql as MySQLdb: nothing below pymysql
_GLOBALS = r"globals\(\)\s*(\[[^\]]*\]\s*=[^=]|\.update|\.setdefault|\.__|\)|,)"
_HOOKS = r"meta_path\b\s*(\.\s*(append|insert|extend)|\[[^\]]*\]\s*=[^=]|\+?=[^=]|[,)]|as\b)"
_NAMES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (hint, re.compile(pattern, re.MULTILINE))
    for hint, pattern in (
        ("globals()", _GLOBALS),
        ("globals()", r"globals\(\)(?<!\wglobals\(\))[ \t]*(#|;|\s*$)"),
        ("modules[", r"modules(?<!\wmodules)\[\s*__(name|package)__\s*\]"),
        ("sys.modules", r"sys\.modules\s*\[\s*__(name|package)__\s*\]"),
        ("sys.modules", r"sys\.modules\.get\(__name__"),
        ("del sys.modules", r"del sys\.modules"),
        ("setattr(", r"setattr\(\s*(sys\.modules|\w*mod(ule)?\b|this\b|__name__)"),
        ("import_module(__", r"import_module\(__(name|package)__\)"),
        ("__import__(__name__)", r"__import__\(__name__\)"),
        ("attach", r"attach(?<!\wattach)(_stub)?\(\s*__"),
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
        ("meta_path", _HOOKS),
        ("__path__", r"__path__\s*[.+=]"),
        ("__path__", r"^[ \t]*__path__\b"),
        ("modules[", rf"modules(?<!\wmodules)\[\s*{_ITSELF}{_ANOTHER}[^\]]*\]\s*=[^=]"),
        ("__name__,", rf"{_HANDED}(?!\s*globals\(\)\))"),  # names are no modules
    )
)
_OWN: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (hint, re.compile(pattern, re.MULTILINE))
    for hint, pattern in (
        ("locals()", r"locals\(\)\s*(\[|\.update)"),
        ("vars()", r"vars\(\)\s*(\[|\.update)"),
        (" in dir(", r"^[ \t]*for \w+ in dir\("),
    )
)
_EXEC = re.compile(r"exec_?[\s\\]*\(")
_IMPORT = re.compile(r"\b__import__\((?:[^()]|\(\))*\)")
_PATH = re.compile(r"sys\.path\b")
_HOOK = re.compile(_HOOKS)
_NAMESPACE = re.compile(r"globals|locals|vars\(|__dict__|modules")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_ALIAS = re.compile(r"sys\.modules\[f[\"']([\w.]+)\.\{(\w+)\}[\"']\]\s*=\s*sys\.modules\[\2\]")
_NAME_HINTS = tuple(dict.fromkeys(hint for hint, _ in _NAMES))
_CHILD_HINTS = ("modules", "meta_path", "__path__", "__name__,")
_SCANS = ("listdir", "scandir", "iterdir", "glob", "iter_modules", "walk")
_LOADS = ("import_module", "exec_module", "__import__", "load_module", "find_module")
SCANS = re.compile(r"\b(listdir|scandir|iterdir|r?glob|iter_modules|walk_packages|walk)\b")
"""Names of functions that list a directory."""
_LOAD = re.compile(r"\b(import_module|exec_module|__import__|load_module|find_module)\b")


def may_make_names(text: str) -> bool:
    """Tell whether :func:`makes_names` is worth asking."""
    return any(hint in text for hint in _NAME_HINTS) or may_execute(text)


def makes_names(text: str) -> bool:
    """Tell whether code puts names into its module's namespace unseen."""
    if "__import__" in text:
        text = _IMPORT.sub("", text)  # it is given globals(), and only reads them
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


def makes_neighbours(text: str) -> bool:
    """Tell whether code may change where modules beside it are found, by ``sys.path``."""
    return "sys.path" in text and bool(_PATH.search(text))


def hooks(text: str) -> bool:
    """Tell whether code puts an importer of its own onto ``sys.meta_path``."""
    return "meta_path" in text and bool(_HOOK.search(text))


def may_execute(text: str) -> bool:
    """Tell whether :func:`executes` is worth asking."""
    return "exec" in text and _EXEC.search(text) is not None


def executes(tree: ast.Module) -> bool:
    """Tell whether ``exec`` may make names of a module.

    In a function it only does where it is given what leads to a module's namespace; at module
    level also where it is given none.
    """
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):
        within = node in inner or isinstance(node, _SCOPES)
        if within:
            inner.update(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in {"exec", "exec_"} and _reaches(node, within=within):
                return True
    return False


def _reaches(call: ast.Call, *, within: bool) -> bool:
    given = [*call.args[1:], *(word.value for word in call.keywords)]
    if not given:
        return not within or "global " in ast.unparse(call)
    return any(_NAMESPACE.search(ast.unparse(one)) for one in given)


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
