"""One wheel in several layers, where it is larger than a layer may be.

Its files stay whole, and in their order.  How many layers there are follows from its size and the
limit alone, so that a lock says it: as many as always do, where no single file is too large.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, UsageError
from envlock.layers.zipcontent import BROKEN_ZIP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.layers.entry import Entry
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Artifact

_HEADER = 256
"""Bytes that a file costs besides its content, at most and about."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A wheel in a layer of its own, or a part of it: ``2 of 4``."""

    wheel: Artifact
    part: str = ""

    @property
    def title(self) -> str:
        """The layer's line in the history."""
        name = f"{self.wheel.name} {self.wheel.version}"
        return f"{name}, part {self.part}" if self.part else name


def pieces_of(wheel: Artifact, limit: int | None) -> list[Piece]:
    """Return a wheel in as many pieces as layers of at most ``limit`` bytes ask for."""
    count = parts_needed(wheel.size, limit) if limit is not None else 1
    if count == 1:
        return [Piece(wheel)]
    return [Piece(wheel, f"{number} of {count}") for number in range(1, count + 1)]


def parts_needed(size: int, limit: int) -> int:
    """Return in how many layers of ``limit`` bytes a wheel of ``size`` bytes is.

    Filled one after the other, any two neighbours hold more than one limit; so twice as many as
    its bytes need are enough for files of whatever sizes, in any order.
    """
    return 1 if size <= limit else -(-2 * size // limit)


def part_of(entries: Sequence[Entry], part: str) -> Sequence[Entry]:
    """Return what is in one part of a wheel; ``part`` is ``"2 of 4"``."""
    number, _, count = part.partition(" of ")
    ends = shares([_weight(entry) for entry in entries], int(count))
    start = ends[int(number) - 2] if number != "1" else 0
    return entries[start : ends[int(number) - 1]]


def shares(weights: Sequence[int], count: int) -> list[int]:
    """Return where each of ``count`` runs of ``weights`` ends, the largest being the smallest.

    No run is empty where there are as many weights as runs.
    """
    low, high = max(weights, default=0), sum(weights)
    while low < high:
        middle = (low + high) // 2
        if _filled(weights, middle, count)[-1] == len(weights):
            high = middle
        else:
            low = middle + 1
    return _filled(weights, low, count)


def _filled(weights: Sequence[int], limit: int, count: int) -> list[int]:
    """Return where runs end that are filled up to ``limit``, but leave one each for the others."""
    ends, place = [], 0
    for others in reversed(range(count)):
        size, start = 0, place
        while place < len(weights) and size + weights[place] <= limit:
            if place > start and len(weights) - place <= others:
                break
            size += weights[place]
            place += 1
        ends.append(place)
    return ends


def refuse_large_files(
    plans: Sequence[LayerPlan], paths: Mapping[str, Path], limit: int | None
) -> None:
    """Raise UsageError for a file of a wheel in parts that no layer of ``limit`` bytes can hold.

    Wheels that are not here are not looked at.
    """
    wheels = {plan.artifacts[0] for plan in plans if plan.part}
    large = [
        (wheel, info)
        for wheel in sorted(wheels, key=lambda wheel: wheel.name)
        if wheel.sha256 in paths
        for info in _infos(paths[wheel.sha256], wheel)
        if info.compress_size > (limit or info.compress_size)
    ]
    if large:
        most = max(info.compress_size for _, info in large)
        raise UsageError(
            "image.layers.max-size is smaller than a file that has to be in one layer",
            details=[
                f"  {wheel.name} {wheel.version}: {info.filename} "
                f"({info.compress_size / 10**6:.1f} MB)"
                for wheel, info in large
            ],
            hint=f"wheels are split, their files are not: allow {most // 10**6 + 1}MB or more",
        )


def _infos(path: Path, wheel: Artifact) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except BROKEN_ZIP as error:
        raise ArtifactError(f"this is no zip: {error}", where=wheel.file) from error


def _weight(entry: Entry) -> int:
    content = entry.content
    size = content.size if content is not None else 0
    return _HEADER + int(getattr(content, "packed_size", size))
