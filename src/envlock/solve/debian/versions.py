"""The order of Debian versions.

Debian policy 5.6.12, as dpkg's ``verrevcmp`` does it.  libsolv has this order, too, but not as
PyPI builds it: there it only compares RPM's versions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_RUN = re.compile(r"([^0-9]*)([0-9]*)")

Part = tuple[tuple[tuple[int, ...], int], ...]
Key = tuple[int, Part, Part]


def version_key(version: str) -> Key:
    """Return what sorts as ``[epoch:]upstream[-revision]`` does; equal versions have equal keys."""
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return int(epoch), _part(upstream), _part(revision or "0")


def _part(text: str) -> Part:
    """Return pairs of a run of other characters and the number after it.

    The last pair is an empty run: an end sorts after ``~`` and before everything else.
    """
    pairs = [(run, number) for run, number in _RUN.findall(text) if run or number]
    return (*((_run(run), int(number or 0)) for run, number in pairs), ((0,), 0))


def _run(run: str) -> tuple[int, ...]:
    """Return the weights of characters: ``~``, the end, letters, then all others."""
    return (*(_weight(character) for character in run), 0)


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isascii() and character.isalpha() else ord(character) + 256


def ranks(versions: Iterable[str]) -> dict[str, int]:
    """Return a number for each version, so that numbers compare as the versions do."""
    keys = {version: version_key(version) for version in versions}
    numbers = {key: number for number, key in enumerate(sorted(set(keys.values())), start=1)}
    return {version: numbers[key] for version, key in keys.items()}
