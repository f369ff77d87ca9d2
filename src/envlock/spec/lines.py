"""Which lines of a spec's file a list item takes: what to delete when it is no longer wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envlock.errors import Location


def item_lines(text: str, location: Location) -> tuple[int, int] | None:
    """Return the first and the last line, from 1, of the list item at ``location``.

    With the key above it where that would be left with nothing.  None for an item that does not
    stand in lines of its own (``[a, {b: c}]``).
    """
    if location.in_flow:
        return None
    lines = text.splitlines()
    first = location.line - 1
    if first >= len(lines) or not lines[first].lstrip().startswith("-"):
        return None
    depth = _depth(lines[first])
    end = _end(lines, first, depth)
    alone = not _is_item(lines, end, depth)
    above = next((n for n in range(first - 1, -1, -1) if _says(lines[n])), None)
    if alone and above is not None and lines[above].rstrip().endswith(":"):
        first = above
    return first + 1, _last(lines, first, end) + 1


def _end(lines: list[str], first: int, depth: int) -> int:
    """Return the first line behind an item that says something and is not part of it."""
    for number in range(first + 1, len(lines)):
        if _says(lines[number]) and _depth(lines[number]) <= depth:
            return number
    return len(lines)


def _last(lines: list[str], first: int, end: int) -> int:
    """Return the last line before ``end`` that says something."""
    return max(n for n in range(first, end) if _says(lines[n]))


def _is_item(lines: list[str], number: int, depth: int) -> bool:
    """Tell whether the list goes on in a line."""
    line = lines[number] if number < len(lines) else ""
    return line.lstrip().startswith("- ") and _depth(line) == depth


def _says(line: str) -> bool:
    """Tell whether a line is neither empty nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
