"""What one solver's packages give to the next: distributions that are there already."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """A PyPI distribution that a conda package brings.

    name: normalized; package: the conda package; requires and extras: from its METADATA
    (Requires-Dist, Provides-Extra), None where that was not read; listed: its METADATA was read,
    and a RECORD tells its files from the rest of the package.
    """

    name: str
    version: str
    package: str
    requires: tuple[str, ...] | None = None
    extras: frozenset[str] = frozenset()
    listed: bool = False
