"""The difference of two images as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FileKind = Literal["only recorded", "only built", "header", "content", "moved"]

LayerKind = Literal["only recorded", "only built", "content", "compression", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Bytes ``start`` to before ``end`` that differ; both sides' first bytes."""

    start: int
    end: int
    recorded: bytes
    built: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDifference:
    """One path of a layer.

    fields: (name in the tar header, recorded, built); sizes and ranges in bytes, of the file's
    content; spots: how many ranges differ, of which ``ranges`` has the first.
    """

    path: str
    kind: FileKind
    fields: tuple[tuple[str, str, str], ...] = ()
    sizes: tuple[int, int] | None = None
    ranges: tuple[Range, ...] = ()
    spots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDifference:
    """One layer; number counts from 1, lowest first.

    files: the first that differ, ``more`` of them are left out; note: what else there is to say.
    """

    number: int
    title: str
    kind: LayerKind
    recorded: str | None = None
    built: str | None = None
    files: tuple[FileDifference, ...] = ()
    more: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDifference:
    """Two images.

    settings: (place, recorded, built) in the manifest and the configuration.
    """

    recorded: str
    built: str
    settings: tuple[tuple[str, str, str], ...]
    layers: tuple[LayerDifference, ...]
