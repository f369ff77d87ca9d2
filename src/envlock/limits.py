"""What a check may use up of the machine.  Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.errors import UsageError
from envlock.sizes import size_in_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one command in the sandbox; None: no other than the machine's own.

    seconds: after these everything of it is killed; memory: bytes that each of its processes may
    write to; processes: and threads, all together, more of which are killed as well; disk: bytes
    of each place that is writable, which lies in memory.
    """

    seconds: float | None = 600.0
    memory: int | None = None
    processes: int | None = 8192
    disk: int | None = None


UNLIMITED = Limits(seconds=None, processes=None)
"""For what people start themselves, and end."""


def limits_from(table: object, environ: Mapping[str, str], where: str) -> Limits:
    """Return the limits of ``[checks]``, and of ``ENVLOCK_CHECK_SECONDS`` and so on, which win.

    where: the name of the file that has the table.  Raises UsageError.
    """
    if not isinstance(table, dict) or table.keys() - set(Limits.__slots__):
        raise UsageError(
            "checks must be a table of limits",
            where=where,
            hint=f"write [checks], and of {', '.join(Limits.__slots__)} what you want to limit",
        )
    found: dict[str, Any] = {}
    for name in Limits.__slots__:
        variable = f"ENVLOCK_CHECK_{name.upper()}"
        given = environ.get(variable) or table.get(name)
        if given is None:
            continue
        place = variable if environ.get(variable) else f"checks.{name}"
        file = None if environ.get(variable) else where
        is_size = name in {"memory", "disk"}
        found[name] = (_size if is_size else _count)(given, place, file)
    return Limits(**found)


def _count(given: object, place: str, file: str | None) -> int:
    if re.fullmatch(r"[0-9]{1,9}", str(given)) and int(str(given)):
        return int(str(given))
    raise UsageError(f"{place} must be a whole number, 1 or more, not {given!r}", where=file)


def _size(given: object, place: str, file: str | None) -> int:
    try:
        size = size_in_bytes(str(given))
    except ValueError:
        size = 0
    if size < 2**20:
        raise UsageError(
            f"{place} must be a size of 1 MiB or more, not {given!r}",
            where=file,
            hint='like "8 GiB"',
        )
    return size
