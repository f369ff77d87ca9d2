"""Output of unknown programs as lines that are safe to show."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI (ECMA-48, 5.4)
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC and the other control strings
    r"|[ -/]*[0-~]?)"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_WIDTH = 300


def clean(text: str) -> str:
    """Return one line of at most 300 characters without control characters or escapes."""
    plain = _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\n", " ").replace("\t", "  ")))
    plain = plain.encode("utf-8", "replace").decode("utf-8")  # lone surrogates
    return plain if len(plain) <= _WIDTH else f"{plain[: _WIDTH - 1]}…"


def last_lines(data: bytes, count: int) -> tuple[str, ...]:
    """Return the last ``count`` lines of ``data`` that say anything, clean.

    Of a line that was overwritten by carriage returns, what a terminal would show last.
    """
    lines: list[str] = []
    for raw in reversed(data[-256 << 10 :].decode("utf-8", "replace").split("\n")):
        line = clean(raw.rstrip("\r").rpartition("\r")[2]).rstrip()
        if line:
            lines.append(line)
        if len(lines) == count:
            break
    return tuple(reversed(lines))
