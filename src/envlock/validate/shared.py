"""Shared libraries that a failed check did not find.  Standard library only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ABSENT = re.compile(r"(?<![\w.+-])(lib[\w.+-]*): cannot open shared object file")
_SONAME = re.compile(r"(?P<name>lib[\w.+-]+?)\.so\.(?P<version>[\w.]+)")
_NOT_DEBIANS = re.compile(r"lib(?:cu|nv|nccl)")
"""What comes with a GPU's driver or in wheels."""


def absent_libraries(said: Iterable[str]) -> tuple[str, ...]:
    """Return what to do about libraries that the dynamic loader says are not there.

    A package with one library is named after its soname (Debian Policy, 8.1).
    """
    names = dict.fromkeys(name for line in said for name in _ABSENT.findall(line))
    return tuple(_advice(name) for name in names if not _NOT_DEBIANS.match(name))


def _advice(name: str) -> str:
    named = _SONAME.fullmatch(name)
    called = f" (most likely {_package(named)})" if named else ""
    return (
        f"the image has no {name} where the loader looks: if it is the system's, add the Debian "
        f"package that has it{called} to debian.packages, and solve again"
    )


def _package(named: re.Match[str]) -> str:
    name, version = named["name"], named["version"]
    between = "-" if name[-1].isdigit() else ""
    return f"{name}{between}{version}".lower().replace("_", "-")
