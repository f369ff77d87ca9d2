"""Names of the standard library's modules out of typeshed's stubs, kept once they are read.

Reading a stub costs milliseconds, and an audit asks hundreds of them for several Pythons.
What a stub says depends on typeshed-client, on the platform, on the Python that the stub is
read for, and on the Python that reads it (newer syntax is not understood): all are in the
name of the file that keeps it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import sys
from typing import TYPE_CHECKING, Any

from envlock.errors import DiskError
from envlock.files import write_atomically
from envlock.leases import used

if TYPE_CHECKING:
    from pathlib import Path

Version = tuple[int, int]


class Stubs:
    """What each stub defines, for one platform; ``folder`` None keeps nothing on disk."""

    def __init__(self, platform: str, folder: Path | None = None) -> None:
        self._platform = platform
        self._folder = folder
        self._known: dict[Version, dict[str, list[str] | None]] = {}
        self._answers: dict[tuple[str, Version], frozenset[str] | None] = {}
        self._fresh: set[Version] = set()

    def names(self, module: str, version: Version) -> frozenset[str] | None:
        """Return the names that a module has in a Python; None where the stub does not tell."""
        try:
            return self._answers[module, version]
        except KeyError:
            pass
        known = self._known.get(version)
        if known is None:
            known = self._known[version] = self._kept(version)
        if module not in known:
            names = _names(module, version, self._platform)
            known[module] = None if names is None else sorted(names)
            self._fresh.add(version)
        found = known[module]
        answer = None if found is None else frozenset(found)
        self._answers[module, version] = answer
        return answer

    def keep(self) -> None:
        """Write what was read anew; a disk that refuses only costs time later."""
        for version in sorted(self._fresh):
            path = self._path(version)
            if path is not None:
                text = json.dumps({**self._kept(version), **self._known[version]}, sort_keys=True)
                with contextlib.suppress(DiskError):
                    write_atomically(path, text.encode())
        self._fresh.clear()

    def _kept(self, version: Version) -> dict[str, list[str] | None]:
        path = self._path(version)
        if path is None or not used(path):
            return {}
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if _sound(found) else {}

    def _path(self, version: Version) -> Path | None:
        if self._folder is None:
            return None
        reader = ".".join(str(part) for part in sys.version_info[:2])
        target = ".".join(str(part) for part in version)
        name = f"{target}.{self._platform}.{typeshed()}.{reader}.names"
        return self._folder / name


def _sound(found: Any) -> bool:
    return isinstance(found, dict) and all(
        names is None or (isinstance(names, list) and all(type(name) is str for name in names))
        for names in found.values()
    )


@functools.cache
def typeshed() -> str:
    """Return the version of typeshed-client, which brings the stubs."""
    import importlib.metadata

    return importlib.metadata.version("typeshed-client")


@functools.lru_cache(maxsize=4096)
def _names(module: str, version: Version, platform: str) -> frozenset[str] | None:
    import typeshed_client

    context = typeshed_client.get_search_context(search_path=[], version=version, platform=platform)
    place = typeshed_client.ModulePath(tuple(module.split(".")))
    try:
        path = typeshed_client.get_stub_file(module, search_context=context)
        if path is None:
            return None
        names = typeshed_client.parse_ast(
            _outline(path), context, place, file_path=path, is_init=path.stem == "__init__"
        )
    except Exception:  # noqa: BLE001  # a stub that this reader does not understand says nothing
        return None
    return frozenset(n for n, info in names.items() if info.is_exported or not _imported(info))


@functools.lru_cache(maxsize=256)
def _outline(path: Path) -> ast.Module:
    """Return a stub's tree with the names of its classes and functions: one for all versions.

    Parsing is what costs, and the names are all that is asked for.
    """
    text = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse(_headings(text))
    except SyntaxError:
        tree = ast.parse(text)
    nothing = ast.arguments([], [], None, [], [], None, [])
    stack: list[ast.stmt] = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.ClassDef):
            node.body = []
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.args, node.body, node.decorator_list, node.returns = nothing, [], [], None
        elif isinstance(node, ast.If):
            stack += [*node.body, *node.orelse]
    return tree


def _headings(text: str) -> str:
    """Return a stub's text without the bodies of its classes, which are most of it.

    What is not laid out as typeshed's formatter does may no longer parse, or stays as it is.
    """
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        inside = inside and (not line or line[0] in " #")
        if not inside:
            inside = line.startswith("class ") and line.endswith(":")
            lines.append(f"{line} ..." if inside else line)
    return "\n".join(lines)


def _imported(info: Any) -> bool:
    """Tell whether a stub only imports a name for its own use."""
    return type(info.ast).__name__ in {"ImportedName", "Import", "ImportFrom"}
