"""Sizes and names as the page writes them."""

from __future__ import annotations

import re

KINDS = {"pypi": "wheel", "conda": "conda package", "debian": "Debian package"}
_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


def size_text(size: int) -> str:
    """Return bytes for people: ``3.1 GB``, ``17 MB``, ``4 kB``."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= step:
            value = size / step
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{size} B"


def change_text(size: int) -> str:
    """Return a growth with its sign: ``+3.1 MB``; ``0`` for none."""
    if not size:
        return "0"
    sign = "\N{MINUS SIGN}" if size < 0 else "+"
    return f"{sign}{size_text(abs(size))}"


def anchor(kind: str, name: str) -> str:
    """Return the name of a package's place on the page."""
    return f"{kind}-{_UNSAFE.sub('-', name)}"
