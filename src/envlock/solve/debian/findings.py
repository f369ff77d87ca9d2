"""What was found in one maintainer script, and what else decides whether the image lacks it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from envlock.layers.deb import merged_path
from envlock.layers.written import ALTERNATIVES, WRITTEN
from envlock.solve.debian.effects import PASSING, SETTLED
from envlock.solve.debian.expand import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from envlock.solve.debian.conditions import Shipped

_Row = TypeVar("_Row")
_UNKNOWN = re.compile(r"[$`]")
_URL = re.compile(  # begins where a scheme's letters do, so that no letter is looked at twice
    r"(?<![a-z0-9+.\-])([0-9+.\-]*+)[a-z][a-z0-9+.\-]*+://[^\s'\"<>]+", re.IGNORECASE
)
_LENGTH = 240
"""Characters of a command that a lock repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What else decides whether an effect is missing.

    alternatives: link -> target that the image gets by the spec's own table; packages: the
    names of all packages in the image.
    """

    alternatives: Mapping[str, str] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()


class Findings:
    """Effects of one script in the order of their first appearance, each once."""

    def __init__(self, package: str, image: Image, shipped: Shipped | None) -> None:
        self.package = package
        self.image = image
        self.shipped = shipped
        self.handled: dict[str, None] = {}
        self.unhandled: dict[str, None] = {}

    def handle(self, effect: str) -> None:
        self.handled[effect] = None

    def miss(self, effect: str, length: int = _LENGTH) -> None:
        """Note what the image lacks, on one line; a lock names no hosts, so URLs are left out."""
        if self.settled(effect):
            return
        line = _URL.sub(r"\1<URL>", " ".join(effect.split()))
        self.unhandled[line if len(line) <= length else line[:length] + "..."] = None

    def written(self, path: str) -> str | None:
        """Return the effect by which the builder writes ``path`` for this package.

        None where it does not; empty where nothing is left at ``path``.
        """
        path = path.rstrip("/")
        passing = next(_rows(PASSING, self.package), ())
        if path.startswith(TEMPORARY) or any(fnmatchcase(path, one) for one in passing):
            return ""
        for effects in _rows(WRITTEN, self.package):
            for effect, patterns in effects.items():
                if any(fnmatchcase(path, pattern) for pattern in patterns):
                    return effect
        return None

    def settled(self, command: str) -> bool:
        """Return whether it is known that this command of this package changes nothing."""
        return any(
            fnmatchcase(self.package, package) and fnmatchcase(command, pattern)
            for package, pattern, _ in SETTLED
        )

    def links(self, link: str) -> bool:
        """Return whether the image gets an alternative's link."""
        path = f"/{merged_path(link.strip('/'))}"
        ours = {f"/{merged_path(one.strip('/'))}" for one in self.image.alternatives}
        known = (one.format(multiarch="*") for one in ALTERNATIVES.get(self.package, ()))
        return path in ours or any(fnmatchcase(path, one) for one in known)

    def removes_nothing(self, path: str) -> bool:
        """Return whether there is nothing at ``path`` in a first installation.

        There could only be what the package ships itself (another package's files are not its
        own to remove), or what the builder writes.
        """
        if self.shipped is None or _UNKNOWN.search(path) or path.count("/") < 2:
            return False
        pattern = "/" + merged_path(path.strip("/"))
        there = [f"/{one}" for one in (*self.shipped.files, *self.shipped.folders)]
        there += [one for row in WRITTEN.values() for paths in row.values() for one in paths]
        return not any(fnmatchcase(one, pattern) or one.startswith(f"{pattern}/") for one in there)


def _rows(table: Mapping[str, _Row], package: str) -> Iterator[_Row]:
    """Yield the rows of a table whose patterns match a package's name."""
    return (row for pattern, row in table.items() if fnmatchcase(package, pattern))
