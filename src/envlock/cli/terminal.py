"""What a terminal shows: whether in colours, how wide, and lines that fit it by words."""

from __future__ import annotations

import os
import re
import textwrap
from typing import TYPE_CHECKING

from envlock.sizes import whole_number

if TYPE_CHECKING:
    from typing import TextIO

_TREE = re.compile(r"((?:│   |    )*)(├── |└── )")
_CELL = re.compile(r"\s*\S+\s{2,}(?=\S)")
_QUOTED = re.compile(r"\s*\d* \|(?: |$)")
_AMOUNT = re.compile(r"(?<=\d) (?=(?:s|[kMG]?B)\b)")
_GLUE = "\x00"
_MARK = re.compile(r"^( {2,})(ok|FAIL|--|known|gone|note|fixes|breaks|[+~-])(?= )", re.MULTILINE)
_COLOURS = {
    "+": "32",
    "-": "31",
    "--": "2",
    "FAIL": "31;1",
    "breaks": "31",
    "fixes": "32",
    "ok": "32",
}
_ELSE = "33"


def wants_colour(stream: TextIO) -> bool:
    """Tell whether to colour: NO_COLOR, then FORCE_COLOR, then a terminal that is not dumb."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int | None:
    """Return a terminal's width in characters, None where the stream is none."""
    if not stream.isatty():
        return None
    asked = whole_number(os.environ.get("COLUMNS", ""))
    if asked:
        return asked
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def fitted(text: str, width: int | None) -> str:
    """Return a text whose long lines go on below, indented; no word is broken.

    Quoted source, with its caret below, stays as it is.
    """
    if width is None:
        return text
    return "\n".join(_fitted(line, max(width, 20)) for line in text.split("\n"))


def _fitted(line: str, width: int) -> str:
    if len(line) <= width or _QUOTED.match(line):
        return line
    filled = textwrap.fill(
        _AMOUNT.sub(_GLUE, line),
        width,
        subsequent_indent=_hanging(line, width),
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )
    return filled.replace(_GLUE, " ")


def _hanging(line: str, width: int) -> str:
    """Return what stands before a line's continuation: a tree's lines, else below its text."""
    tree = _TREE.match(line)
    if tree:
        return tree[1] + ("│   " if tree[2] == "├── " else "    ")
    cell = _CELL.match(line)
    if cell and cell.end() <= width // 3:
        return " " * cell.end()
    lead = len(line) - len(line.lstrip(" "))
    return " " * min(lead + 2, width // 2)


def painted(text: str, *, colour: bool) -> str:
    """Colour the marks that lines begin with: ``ok``, ``FAIL``, ``+``, ``breaks``, …"""
    if not colour:
        return text
    return _MARK.sub(lambda m: f"{m[1]}\x1b[{_COLOURS.get(m[2], _ELSE)}m{m[2]}\x1b[0m", text)
