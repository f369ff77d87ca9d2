"""TOML files with the places of what stands in them, which TOML's reader does not keep."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from envlock.errors import Location, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_toml(path: Path, shown: str) -> tuple[dict[str, Any], list[str]]:
    """Return the table and the lines of a file; raises UsageError."""
    try:
        text = path.read_text("utf-8")
        return tomllib.loads(text), text.splitlines()
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=shown) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"this is not valid TOML: {error}", where=shown) from None


def at(lines: Sequence[str], text: str, shown: str) -> Location:
    """Return the first line that has a text, the file's first where none has."""
    for number, line in enumerate(lines, 1):
        column = line.find(text)
        if column >= 0:
            return Location(file=shown, line=number, column=column + 1, text=line)
    return Location(file=shown, line=1, column=1)


def at_package(lines: Sequence[str], name: str, shown: str) -> Location:
    """Return the line that names a package of a lock file."""
    return at(lines, f'name = "{name}"', shown)
