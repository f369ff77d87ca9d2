"""Exit statuses that are the same in every first installation.

POSIX ``test``; ``dpkg --compare-versions`` as dpkg(1) has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.solve.debian.versions import version_key

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIXED = {"true": True, ":": True, "false": False, "set": True, "export": True, "local": True}

_EMPTY_IS_OLDEST = {"lt": True, "le": True, "eq": False, "ne": True, "ge": False, "gt": False}
"""``dpkg --compare-versions "" OP something``: no version is earlier than any version..."""

_EMPTY_IS_NEWEST = {"lt-nl": False, "le-nl": False, "ge-nl": True, "gt-nl": True}
"""...except for these operators."""


def status_of(words: Sequence[str]) -> bool | None:
    """Return whether a command, all of whose words are known, succeeds; None if it depends."""
    match list(words):
        case [name] if name in _FIXED:
            return _FIXED[name]
        case ["set" | "export" | "local", *_]:
            return True
        case ["[", *expression, "]"]:
            return _test(expression)
        case ["test", *expression]:
            return _test(expression)
        case ["dpkg", "--compare-versions", old, operator, new]:
            return _compare(old, operator, new)
        case _:
            return None


def _test(words: Sequence[str]) -> bool | None:
    """Evaluate a ``test`` expression; files are never looked at."""
    for operator, neutral in (("-o", False), ("-a", True)):
        if operator in words[1:-1]:
            at = words.index(operator, 1)
            sides = _test(words[:at]), _test(words[at + 1 :])
            if (not neutral) in sides:
                return not neutral
            return None if None in sides else neutral
    match list(words):
        case []:
            return False
        case ["!", *rest] if rest:
            status = _test(rest)
            return None if status is None else not status
        case ["-n", text] | [text]:
            return bool(text)
        case ["-z", text]:
            return not text
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
