"""Which file of a wheel is which module (import system: packages, extensions, namespaces)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXTENSION = re.compile(r"^(?P<name>[^.]+)(\.(cpython-[^.]+|abi3|pypy[^.]*|cp\d[^.]*))?\.so$")
_TESTS = frozenset({"tests", "test"})
_RANK = {"so-pkg": 4, "pkg": 3, "so": 2, "py": 1}
_COMPILED = {"pkg": 4, "so-pkg": 3, "py": 2, "so": 1}
_MYPYC = "__mypyc."
"""Stands in the name of the library that has the code of all modules that mypyc compiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A module of a wheel.  kind: ``py``, ``pkg``, ``so``, ``so-pkg``; read: is it parsed?

    stub: the ``.pyi`` beside a package's source, or empty.
    """

    module: str
    kind: str
    file: str
    read: bool
    stub: str = ""


def module_of(file: str) -> tuple[str, str] | None:
    """Return the module that an installed file provides and its kind, or None."""
    folder, _, name = file.rpartition("/")
    if name.endswith(".py"):
        stem, kind = name[:-3], "py"
    else:
        match = _EXTENSION.match(name)
        if match is None:
            return None
        stem, kind = match["name"], "so"
    parts = folder.split("/") if folder else []
    if not all(part.isidentifier() for part in (*parts, stem)):
        return None
    if stem == "__init__":
        return (".".join(parts), "pkg" if kind == "py" else "so-pkg") if parts else None
    return ".".join([*parts, stem]), kind


def installed_name(file: str) -> str | None:
    """Return where a wheel's file lands below site-packages (binary distribution format)."""
    first, _, rest = file.partition("/")
    if not first.endswith(".data"):
        return file
    scheme, _, inner = rest.partition("/")
    return inner if scheme in {"purelib", "platlib"} else None


def modules_in(files: Iterable[str]) -> dict[str, Member]:
    """Return the modules among a wheel's files; packages beat extensions beat sources.

    What mypyc compiles is beaten by the source beside it, which it does the same as.
    """
    every = list(files)
    stubs = {file for file in every if file.endswith("/__init__.pyi")}
    compiled = any(_MYPYC in file for file in every)
    rank = _COMPILED if compiled else _RANK
    found: dict[str, Member] = {}
    for file in every:
        installed = installed_name(file)
        made = module_of(installed) if installed else None
        if made is None:
            continue
        module, kind = made
        if module in found and rank[found[module].kind] >= rank[kind]:
            continue
        parts = module.split(".")
        tests = not _TESTS.isdisjoint(parts[1:]) or parts[0] in _TESTS
        found[module] = Member(
            module=module, kind=kind, file=file, read=kind in {"py", "pkg"} and not tests,
            stub=f"{file}i" if f"{file}i" in stubs else "",
        )  # fmt: skip
    return found


def namespaces_in(modules: Iterable[str]) -> list[str]:
    """Return the packages without an ``__init__`` that lead to a module (PEP 420)."""
    known = set(modules)
    found: set[str] = set()
    for module in known:
        parent = module.rpartition(".")[0]
        while parent and parent not in known and parent not in found:
            found.add(parent)
            parent = parent.rpartition(".")[0]
    return sorted(found)
