"""A wheel's index as data."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
"""The Python that parses sources: what is newer in them it does not understand."""

FORMAT = f"35py{PYTHON.replace('.', '')}"
"""Version of the index, and of what made it; another one makes every index be built anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A PyPI distribution that a conda package brings.

    name, version, requires, extras: as its METADATA says, or an egg's PKG-INFO; modules: those
    that its RECORD lists, empty where it has none; entry_points: as those of a wheel.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    entry_points: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WheelIndex:
    """What one wheel, or one conda package, provides and asks for.

    name, version, requires, extras: as METADATA says; modules: by dotted name, each with
    ``kind`` (py, pkg, so, so-pkg, skip), ``file``, ``asked`` (all that its functions may ask
    for, where that is all that matters), and for sources the skeleton (``body``,
    ``functions``, ``open``, ``children``, ``getattr``, ``strings``), which is unpacked when
    it is looked at; namespaces: packages without ``__init__``; pth: top-level modules that a
    .pth file runs at start-up, and ``paths`` that it adds; entry_points:
    ``line group: name = module:attribute``; notes: what was left out and why; verified: False
    where only parts of the file were read.

    Of a conda package, name and version are its own, requires and extras are empty,
    entry_points are those that conda itself makes programs of and no distribution has, in
    line 0, and distributions are what it brings; package: its name, empty for a wheel; depends: the
    packages that it needs, by name; declares: the distributions that these bring
    (:func:`envlock.audit.owners.owned` fills it in).
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    modules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    namespaces: tuple[str, ...] = ()
    pth: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    entry_points: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verified: bool = True
    package: str = ""
    depends: tuple[str, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    declares: tuple[str, ...] = ()

    @functools.cached_property
    def native(self) -> bool:
        """Whether there are extension modules."""
        return any(entry["kind"] in {"so", "so-pkg"} for entry in self.modules.values())

    @property
    def tops(self) -> list[str]:
        """The importable packages: top-level ones, and the first below a namespace."""
        found = []
        spaces = set(self.namespaces)
        for module in self.modules:
            parent = module.rpartition(".")[0]
            if not parent or (parent in spaces and module.partition(".")[0] not in self.modules):
                found.append(module)
        return sorted(found)
