"""Shared libraries that a failed check did not find.  Standard library only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ABSENT = re.compile(r"(?<![\w.+-])(lib[\w.+-]*): cannot open shared object file")
_SONAME = re.compile(r"(?P<name>lib[\w.+-]+?)\.so\.(?P<version>[\w.]+)")
_NUMBERED = re.compile(r"(?P<name>lib[\w.+-]*\d)-(?P<version>\d+)")
"""A library as other systems call it and some packages ask for it first: libgobject-2.0-0."""

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

_LOOKED_UP = {
    "cairo": "libcairo2",
    "enchant": "libenchant-2-2",
    "geos": "libgeos-c1v5",
    "magic": "libmagic1",
    "magickwand": "libmagickwand-6.q16-6",
    "portaudio": "libportaudio2",
    "sndfile": "libsndfile1",
    "zbar": "libzbar0",
}
"""Libraries that Python code looks for by name, so that the loader says nothing, and their
Debian packages."""
_NOT_FOUND = re.compile(
    r"(?=.*lib)(?=.*\b(?:find|found)\b)"
    rf".*?\b(?:lib)?(?P<name>{'|'.join(_LOOKED_UP)})(?:[-_][\w.-]+)?\b",
    re.IGNORECASE,
)
_RAISED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|NotFound): ")


def names_absent(said: Iterable[str]) -> tuple[str, ...]:
    """Return the libraries that the dynamic loader says are not there, if the system has such."""
    names = dict.fromkeys(name for line in said for name in _ABSENT.findall(line))
    return tuple(name for name in names if is_systems(name))


def is_systems(name: str) -> bool:
    """Tell whether a library may be the system's: it comes neither with a driver nor in wheels."""
    return not _NOT_DEBIANS.match(name)


def absent_libraries(said: Iterable[str]) -> tuple[str, ...]:
    """Return what to do about libraries that the loader, or who looked for one, did not find."""
    lines = tuple(said)
    if advice := tuple(map(_advice, names_absent(lines))):
        return advice
    ends = (found for line in lines if _RAISED.match(line) and (found := _NOT_FOUND.match(line)))
    names = dict.fromkeys(found["name"].lower() for found in ends)
    return tuple(_to_add(f"no library {name}", _LOOKED_UP[name]) for name in names)


def package_of(name: str) -> str | None:
    """Return the Debian package that most likely has a library, None where nothing tells it.

    A package with one library is named after its soname (Debian Policy, 8.1).
    """
    if numbered := _NUMBERED.fullmatch(name):
        name = f"{numbered['name']}.so.{numbered['version']}"
    named = _SONAME.fullmatch(name)
    if name in _ELSEWHERE or named is None:
        return _ELSEWHERE.get(name)
    library, version = named["name"], named["version"]
    between = "-" if library[-1].isdigit() else ""
    return f"{library}{between}{version}".lower().replace("_", "-")


def _advice(name: str) -> str:
    return _to_add(f"no {name} where the loader looks", package_of(name))


def _to_add(lacks: str, package: str | None) -> str:
    called = f" (most likely {package})" if package else ""
    return (
        f"the image has {lacks}: if it is the system's, add the Debian "
        f"package that has it{called} to debian.packages, and solve again"
    )
