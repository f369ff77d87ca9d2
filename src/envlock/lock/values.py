"""Values of a lock file, looked at one by one.  Standard library only."""

from __future__ import annotations

import re
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
CONDA_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
"""Conda's own names may begin with an underscore: ``_libgcc_mutex``."""

PATH = re.compile(r"[^/\x00-\x1f\x7f]+(?:/[^/\x00-\x1f\x7f]+)*")


def text(value: object) -> str:
    """Return a text; raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list; raises TypeError."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return tuple(text(item) for item in value)


def whole(value: object) -> int:
    """Return a whole number, zero or more; raises TypeError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is no whole number")
    return value


def kept_path(names: re.Pattern[str], value: object) -> tuple[str, str]:
    """Return a path below a prefix and the package whose file is kept there.

    names: how such packages are called.  Raises TypeError or ValueError.
    """
    path, package = texts(value)
    if {".", ".."} & {*matching(PATH, path).split("/")}:
        raise ValueError(f"{path!r} is no path below a prefix")
    return path, matching(names, package)


def mapping(value: object) -> dict[str, Any]:
    """Return a mapping; raises TypeError."""
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no mapping")
    return value


def matching(pattern: re.Pattern[str], value: object) -> str:
    """Return a text that ``pattern`` describes whole; raises TypeError or ValueError."""
    found = text(value)
    if not pattern.fullmatch(found):
        raise ValueError(f"{found!r} cannot stand there")
    return found
