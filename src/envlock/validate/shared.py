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

_ELSEWHERE = {
    "libcrypto.so.3": "libssl3",
    "libexslt.so.0": "libxslt1.1",
    "libgio-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgmodule-2.0.so.0": "libglib2.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libjpeg.so.62": "libjpeg62-turbo",
    "libnspr4.so": "libnspr4",
    "libnss3.so": "libnss3",
    "libnssutil3.so": "libnss3",
    "libsmime3.so": "libnss3",
    "libxml2.so.2": "libxml2",
    "libxslt.so.1": "libxslt1.1",
    "libz.so.1": "zlib1g",
}
"""Libraries that wheels want and whose Debian package is not named after them."""


def names_absent(said: Iterable[str]) -> tuple[str, ...]:
    """Return the libraries that the dynamic loader says are not there, if the system has such."""
    names = dict.fromkeys(name for line in said for name in _ABSENT.findall(line))
    return tuple(name for name in names if is_systems(name))


def is_systems(name: str) -> bool:
    """Tell whether a library may be the system's: it comes neither with a driver nor in wheels."""
    return not _NOT_DEBIANS.match(name)


def absent_libraries(said: Iterable[str]) -> tuple[str, ...]:
    """Return what to do about libraries that the dynamic loader says are not there."""
    return tuple(map(_advice, names_absent(said)))


def package_of(name: str) -> str | None:
    """Return the Debian package that most likely has a library, None where nothing tells it.

    A package with one library is named after its soname (Debian Policy, 8.1).
    """
    named = _SONAME.fullmatch(name)
    if name in _ELSEWHERE or named is None:
        return _ELSEWHERE.get(name)
    library, version = named["name"], named["version"]
    between = "-" if library[-1].isdigit() else ""
    return f"{library}{between}{version}".lower().replace("_", "-")


def _advice(name: str) -> str:
    package = package_of(name)
    called = f" (most likely {package})" if package else ""
    return (
        f"the image has no {name} where the loader looks: if it is the system's, add the Debian "
        f"package that has it{called} to debian.packages, and solve again"
    )
