"""The image as a picture: layers, in them packages, by the bytes of their artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.report.model import Frame, Picture, Tile
from envlock.report.treemap import Box, squarified
from envlock.report.words import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.report.model import Layer, Package

WIDE = (1200, 620, 14)
NARROW = (480, 760, 17)
"""Width, height and size of letters: for a screen, and for a telephone."""

_GAP = 1.5
_SMALLER = (0.82, 0.68)
_SMALLEST = 11.0
_LETTER = 0.56
_BOLD = 0.64
"""How wide letters are, by their height: of sans-serif digits and small letters, rather more."""


def picture(layers: Sequence[Layer], form: tuple[int, int, int]) -> Picture:
    """Return the treemap in one proportion."""
    width, height, text = form
    boxes = squarified([layer.size for layer in layers], Box(x=0, y=0, width=width, height=height))
    frames = tuple(
        _frame(layer, box, text) for layer, box in zip(layers, boxes, strict=True) if layer.size
    )
    return Picture(width=width, height=height, text=text, frames=frames)


def _frame(layer: Layer, box: Box, text: int) -> Frame:
    outer = box.inside(_GAP)
    several = len(layer.packages) > 1
    headed = several and outer.height > 5 * text and outer.width > 8 * text
    title = _fitting(layer.title, outer.width - text, text) if headed else ""
    inner = outer.inside(_GAP if several else 0, top=1.7 * text if title else 0)
    boxes = squarified([package.size for package in layer.packages], inner)
    tiles = tuple(
        _tile(package, one, text)
        for package, one in zip(layer.packages, boxes, strict=True)
        if one.width > 0 and one.height > 0
    )
    return Frame(box=outer, layer=layer, title=title, tiles=tiles)


def _tile(package: Package, box: Box, text: int) -> Tile:
    """Return a tile with what fits of its words, in smaller letters if need be."""
    for size in (text, *(one * text for one in _SMALLER if one * text > _SMALLEST)):
        lines = _lines(package, box, size)
        if lines:
            return Tile(box=box, package=package, lines=lines, text=size)
    return Tile(box=box, package=package, lines=(), text=text)


def _lines(package: Package, box: Box, text: float) -> tuple[str, ...]:
    """Return what fits into a tile: its name, then version and size."""
    room = box.width - text
    if box.height < 1.5 * text or len(package.name) * _BOLD * text > room:
        return ()
    more = f"{package.version} · {size_text(package.size)}"
    if len(more) * _LETTER * text > room:
        more = size_text(package.size)
    if box.height < 3.2 * text or len(more) * _LETTER * text > room:
        return (package.name,)
    return (package.name, more)


def _fitting(words: str, room: float, text: int) -> str:
    """Return as much of a title as fits, cut with an ellipsis; empty for next to nothing."""
    letters = int(room / (_LETTER * text))
    if len(words) <= letters:
        return words
    return f"{words[: letters - 1].rstrip()}…" if letters > 8 else ""
