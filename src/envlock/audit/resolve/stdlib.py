"""The target's standard library, as typeshed describes it for a Python version and a platform.

A name counts as missing only if it is known from another version: the stubs of newer
Pythons have it, or ``gone.json``, taken from real interpreters, tells when it left.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import sys
from typing import TYPE_CHECKING, Any

from envlock.audit.resolve.stubs import Stubs

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.audit.model import Target

_VERSIONS = ((3, 10), (3, 11), (3, 12), (3, 13), (3, 14))

MODULE_NAMES = frozenset(
    [
        "__name__",
        "__doc__",
        "__file__",
        "__path__",
        "__dict__",
        "__spec__",
        "__loader__",
        "__package__",
        "__cached__",
        "__builtins__",
        "__class__",
        "__annotations__",
        "__getattribute__",
        "__setattr__",
        "__dir__",
        "__all__",
        "__init__",
        "__eq__",
        "__hash__",
        "__repr__",
        "__new__",
    ]
)


class StandardLibrary:
    """What modules and names the target's interpreter has."""

    def __init__(self, target: Target, folder: Path | None = None) -> None:
        import typeshed_client

        self.stubs = Stubs(target.platform, folder)
        self._files: dict[str, bool] = {}

        self._version = target.version
        self._context = typeshed_client.get_search_context(
            search_path=[], version=target.version, platform=target.platform
        )
        ranges = typeshed_client.finder.get_typeshed_versions(self._context.typeshed)
        self._ranges: dict[str, Any] = {".".join(key): value for key, value in _items(ranges)}
        for name in [name for name in self._ranges if self._foreign(name)]:
            del self._ranges[name]
        self._known = frozenset(self._ranges)

    def _foreign(self, module: str) -> bool:
        """typeshed keeps a few modules beside the library that no interpreter has."""
        top = module.partition(".")[0]
        bounds = self._ranges.get(top)
        here = sys.version_info[:2]
        return (
            bounds is not None
            and top not in sys.stdlib_module_names
            and bounds.min <= here
            and (bounds.max is None or here <= bounds.max)
        )

    def has(self, module: str) -> bool | None:
        """Tell whether a module exists; None where nobody knows, False also for strangers."""
        top = module.partition(".")[0]
        if top not in self._known:
            return None if top in sys.stdlib_module_names or top == "__main__" else False
        for name in _prefixes(module):
            if name in self._known and not self._within(name):
                return False
        if module in self._known or self._stub(module):
            return self._on_platform(module)
        return None if self._within(top) else False

    def ever(self, module: str) -> bool:
        """Tell whether a top-level module belonged to the library of some Python 3."""
        return module in self._known or module in sys.stdlib_module_names

    def elsewhere(self, module: str) -> bool:
        """Tell whether a module exists on another platform only."""
        return module in self._known and self._within(module) and not self._on_platform(module)

    def names(self, module: str) -> frozenset[str] | None:
        """Return a module's names; None where the stub does not tell."""
        return self.stubs.names(module, self._version)

    def lacks(self, module: str, name: str) -> bool:
        """Tell whether a name is known to have left the module, or to come later."""
        if name in MODULE_NAMES:
            return False
        left = _gone().get(module, {}).get(name)
        if left is not None:
            major, minor = left.split(".")
            return self._version >= (int(major), int(minor))
        names = self.names(module)
        if names is None or name in names or "__getattr__" in names:
            return False
        if name in (self.names(f"_{module}") or ()):
            return False  # io is late with names of _io where only __all__ was
        others = (self.stubs.names(module, version) for version in _VERSIONS)
        return any(other is not None and name in other for other in others)

    def is_module(self, module: str) -> bool:
        """Tell whether a stub file is a module of its own."""
        return self._stub(module)

    def _within(self, module: str) -> bool:
        bounds = self._ranges[module]
        low, high = bounds.min, bounds.max
        version = self._version
        return bool(low <= version and (high is None or version <= high))

    def _stub(self, module: str) -> bool:
        known = self._files.get(module)
        if known is None:
            import typeshed_client

            found = typeshed_client.get_stub_file(module, search_context=self._context)
            known = self._files[module] = found is not None
        return known

    def _on_platform(self, module: str) -> bool:
        if module not in _PLATFORM_DEPENDENT:
            return True
        names = self.names(module)
        return names is None or any(not name.startswith("_") for name in names)


# Modules whose whole stub stands under a platform condition.
_PLATFORM_DEPENDENT = frozenset(
    [
        "winreg",
        "msvcrt",
        "winsound",
        "_winapi",
        "nt",
        "fcntl",
        "termios",
        "tty",
        "pty",
        "resource",
        "grp",
        "pwd",
        "spwd",
        "crypt",
        "nis",
        "syslog",
        "posix",
        "ossaudiodev",
        "_posixsubprocess",
        "_msi",
        "msilib",
        "asyncio.windows_events",
        "asyncio.windows_utils",
        "multiprocessing.popen_spawn_win32",
        "_curses",
        "curses",
        "readline",
    ]
)


def _items(ranges: Any) -> Any:
    for key, value in ranges.items():
        yield (key if isinstance(key, tuple) else (key,)), value


def _prefixes(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


@functools.cache
def _gone() -> dict[str, dict[str, str]]:
    """Return the names that left, and with which Python; scripts/stdlib_names.py makes it."""
    text = importlib.resources.files(__package__).joinpath("gone.json").read_text("utf-8")
    found: dict[str, dict[str, str]] = json.loads(text)
    return found
