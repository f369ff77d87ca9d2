"""Exit statuses that are the same in every first installation.

POSIX ``test``; ``dpkg --compare-versions`` as dpkg(1) has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.layers.deb import merged_path
from envlock.solve.debian.versions import version_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FIXED = {
    **dict.fromkeys(("true", ":", "set", "export", "local"), True),
    "false": False,
    # an image is never the system that runs (ischroot(1))
    "ischroot": True,
}

_NEVER = "/run/systemd/system"
"""Exists where systemd runs (sd_booted(3)): in no image."""

_EMPTY_IS_OLDEST = {"lt": True, "le": True, "eq": False, "ne": True, "ge": False, "gt": False}
"""``dpkg --compare-versions "" OP something``: no version is earlier than any version..."""

_EMPTY_IS_NEWEST = {"lt-nl": False, "le-nl": False, "ge-nl": True, "gt-nl": True}
"""...except for these operators."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """The paths that a package brings, as far as its control files tell: ``usr/bin/x``."""

    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()

    @classmethod
    def of(cls, paths: Iterable[str]) -> Shipped:
        """Return files, with or without a slash in front, and the folders above them."""
        files = frozenset(merged_path(path.strip("/")) for path in paths)
        folders: set[str] = set()
        for path in files:
            while (path := path.rpartition("/")[0]) and path not in folders:
                folders.add(path)
        return cls(files, frozenset(folders))

    def test(self, operator: str, path: str) -> bool | None:
        """Return what ``[ OPERATOR PATH ]`` says; None where that depends on other things."""
        if path == _NEVER:
            return False
        name = merged_path(path.strip("/"))
        if name in self.files:
            return {"-e": True, "-f": True, "-r": True, "-d": False}.get(operator)
        if name in self.folders:
            return {"-e": True, "-d": True, "-r": True, "-f": False}.get(operator)
        return None


def status_of(words: Sequence[str], shipped: Shipped) -> bool | None:
    """Return whether a command, all of whose words are known, succeeds; None if it depends."""
    match list(words):
        case [name] if name in _FIXED:
            return _FIXED[name]
        case ["set" | "export" | "local", *_]:
            return True
        case ["[", *expression, "]"] | ["test", *expression]:
            return _test(expression, shipped)
        case ["dpkg", "--compare-versions", old, operator, new]:
            return _compare(old, operator, new)
        case _:
            return None


def _test(words: Sequence[str], shipped: Shipped) -> bool | None:
    """Evaluate a ``test`` expression."""
    for operator, neutral in (("-o", False), ("-a", True)):
        if operator in words[1:-1]:
            at = words.index(operator, 1)
            sides = _test(words[:at], shipped), _test(words[at + 1 :], shipped)
            if (not neutral) in sides:
                return not neutral
            return None if None in sides else neutral
    match list(words):
        case []:
            return False
        case ["!", *rest] if rest:
            status = _test(rest, shipped)
            return None if status is None else not status
        case ["-n", text] | [text]:
            return bool(text)
        case ["-z", text]:
            return not text
        case ["-e" | "-f" | "-d" | "-r" | "-s" | "-x" | "-h" | "-L" as operator, path]:
            return shipped.test(operator, path)
        case [left, "=" | "==", right]:
            return left == right
        case [left, "!=", right]:
            return left != right
        case _:
            return None


def _compare(old: str, operator: str, new: str) -> bool | None:
    if not old:
        return {**_EMPTY_IS_OLDEST, **_EMPTY_IS_NEWEST}.get(operator)
    left, right = version_key(old), version_key(new)
    return {
        "lt": left < right,
        "le": left <= right,
        "eq": left == right,
        "ne": left != right,
        "ge": left >= right,
        "gt": left > right,
    }.get(operator.removesuffix("-nl"))
