"""Sizes as people write them (``20GB``, ``500 MiB``), and numbers of things."""

from __future__ import annotations

import re

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([kmgt]i?|)b?", re.IGNORECASE | re.ASCII)


def size_in_bytes(text: str) -> int:
    """Return a size in bytes, decimal or with an ``i`` binary; raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size")
    return int(float(found[1]) * (_UNITS | _BINARY_UNITS)[found[2].lower()])


def whole_number(text: str) -> int | None:
    """Return what digits say, None for anything else.

    ``str.isdigit`` takes more for digits than ``int`` does, and ``int`` refuses thousands of them.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Return a number of things in words: ``1 wheel``, ``2 wheels``.

    things: the plural, where it is not the singular with an s.
    """
    return f"{number} {thing if number == 1 else things or f'{thing}s'}"
