"""What a report shows, as plain data: the page's template takes it from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.report.treemap import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A locked package; ref: its anchor on the page; share: of all bytes, from 0 to 1.

    asked: who requires it, as (what, voided by); shared: other environments with the same file.
    """

    kind: str
    name: str
    version: str
    source: str
    size: int
    share: float
    ref: str
    layer: int
    forced: bool
    asked: tuple[tuple[str, str], ...]
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer of the image to be; size: bytes of its artifacts; shared: who has the same one."""

    number: int
    kind: str
    title: str
    size: int
    packages: tuple[Package, ...]
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A package in the picture of the image; lines: what fits of its name and size.

    text: the height of their letters.
    """

    box: Box
    package: Package
    lines: tuple[str, ...]
    text: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A layer around its tiles; title: empty where it does not fit."""

    box: Box
    layer: Layer
    title: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The image as a treemap, for one proportion."""

    width: int
    height: int
    text: int
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A package in the drawn graph, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    name: str
    version: str
    kind: str
    forced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A requirement in the drawn graph: an SVG path; voided: by what, empty where it holds."""

    path: str
    title: str
    voided: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The requirements of an environment, drawn; left_out: edges that others imply."""

    width: float
    height: float
    dots: tuple[Dot, ...]
    lines: tuple[Line, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A check and what became of it; status: empty where nothing is known."""

    text: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A line of ``accepts`` and what it covers; a check's failure covers nothing of the audit."""

    pattern: str
    findings: tuple[str, ...]
    is_check: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """An override: what it forces against whom, why, at what cost, and how that is checked."""

    package: str
    version: str
    kind: str
    ref: str
    because: str
    against: tuple[tuple[str, str], ...]
    voids: tuple[tuple[str, str], ...]
    replaces: str
    adds: tuple[str, ...]
    until: str
    accepts: tuple[Accepted, ...]
    checks: tuple[Checked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Files of two packages at the same paths: whose are there, whose are not, and why."""

    kept: str
    lost: str
    because: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The proof: when, with what, of which image; stale: why it is about something else."""

    date: str
    envlock: str
    gpu: str
    stale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A package that another lock has otherwise."""

    kind: str
    name: str
    before: str
    after: str
    grown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What this lock has otherwise than another one, which ``title`` names."""

    title: str
    packages: tuple[Moved, ...]
    overrides: tuple[str, ...]
    spec: tuple[str, ...]
    before: int
    after: int
    layers: tuple[tuple[str, int], ...]
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All of it."""

    name: str
    platform: str
    description: str
    facts: Sequence[tuple[str, str]]
    size: int
    layers: tuple[Layer, ...]
    packages: tuple[Package, ...]
    pictures: tuple[Picture, ...]
    drawing: Drawing | None
    cards: tuple[Card, ...]
    settled: tuple[Settled, ...]
    checks: tuple[Checked, ...]
    accepts: tuple[Accepted, ...]
    seen: Seen | None
    others: tuple[str, ...]
    against: Against | None
    envlock: str
