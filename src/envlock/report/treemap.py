"""Rectangles whose areas are sizes: a squarified treemap.

Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000): items are laid in rows along the
shorter side of what is left, and a row is closed where another item would make it longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in the picture's units, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, margin: float, top: float = 0.0) -> Box:
        """Return what is left within a margin, and below a headline of height ``top``."""
        return Box(
            x=self.x + margin,
            y=self.y + margin + top,
            width=max(self.width - 2 * margin, 0.0),
            height=max(self.height - 2 * margin - top, 0.0),
        )


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """Return a rectangle within ``box`` for each size, in the order given.

    Sizes are not negative; those of nothing, and all where ``box`` is empty, get empty ones.
    """
    order = sorted(range(len(sizes)), key=lambda n: -sizes[n])
    total = sum(sizes)
    found = [Box(x=box.x, y=box.y, width=0.0, height=0.0)] * len(sizes)
    if total <= 0 or box.width <= 0 or box.height <= 0:
        return found
    scale = box.width * box.height / total
    areas = [sizes[n] * scale for n in order if sizes[n] > 0]
    place = 0
    while place < len(areas):
        side = min(box.width, box.height)
        end = _row_end(areas, place, side)
        row = areas[place:end]
        laid, box = _lay(row, box)
        for number, rectangle in zip(order[place:end], laid, strict=True):
            found[number] = rectangle
        place = end
    return found


def _row_end(areas: Sequence[float], place: int, side: float) -> int:
    """Return where the row that begins at ``place`` ends."""
    end = place + 1
    while end < len(areas) and _worst(areas[place : end + 1], side) <= _worst(
        areas[place:end], side
    ):
        end += 1
    return end


def _worst(row: Sequence[float], side: float) -> float:
    """Return the longest of the proportions in a row along ``side``."""
    thickness = sum(row) / side
    if thickness <= 0:
        return float("inf")
    lengths = [area / thickness for area in row]
    return max(max(length / thickness, thickness / max(length, 1e-12)) for length in lengths)


def _lay(row: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """Return the row's rectangles along the shorter side, and what is left of the box."""
    laid = []
    if box.width >= box.height:
        width = min(sum(row) / box.height, box.width)
        y = box.y
        for area in row:
            height = area / width if width else 0.0
            laid.append(Box(x=box.x, y=y, width=width, height=height))
            y += height
        return laid, Box(x=box.x + width, y=box.y, width=box.width - width, height=box.height)
    height = min(sum(row) / box.width, box.height)
    x = box.x
    for area in row:
        width = area / height if height else 0.0
        laid.append(Box(x=x, y=box.y, width=width, height=height))
        x += width
    return laid, Box(x=box.x, y=box.y + height, width=box.width, height=box.height - height)
