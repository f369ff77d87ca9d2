"""The requirements of an environment's Python side, drawn from the spec on the left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.report.layered import layered
from envlock.report.model import Dot, Drawing, Line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from envlock.graph import Edge, Graph, Node
    from envlock.report.layered import Layout

_ROW = 30.0
_HEIGHT = 22.0
_LETTER = 7.3
_PADDING = 18.0
_GAP = 64.0
_MARGIN = 8.0
_SPEC = "the spec"
_MOST = 260
"""Of more packages no picture is drawn: nobody could read it."""


def drawing(graph: Graph, kinds: frozenset[str]) -> Drawing | None:
    """Return the picture of the packages of some kinds; None for too few, or too many."""
    nodes = sorted(node for node in graph.artifacts if node[0] in kinds)
    if not 1 < len(nodes) <= _MOST:
        return None
    names = {node: f"{node[0]} {node[1]}" for node in nodes}
    edges: dict[tuple[str, str], Edge] = {}
    for node in nodes:
        for edge in graph.into(node):
            start = _SPEC if edge.dependent is None else names.get(edge.dependent)
            if start is not None and (edge.voided or (start, names[node]) not in edges):
                edges[start, names[node]] = edge
    kept = _without_implied(edges)
    layout = layered([_SPEC, *names.values()], kept)
    return _drawn(graph, layout, {name: node for node, name in names.items()}, kept, len(edges))


def _without_implied(edges: Mapping[tuple[str, str], Edge]) -> dict[tuple[str, str], Edge]:
    """Leave out an edge where a longer way leads to the same place; voided ones stay."""
    out: dict[str, list[str]] = {}
    for (one, other), edge in edges.items():
        if not edge.voided:
            out.setdefault(one, []).append(other)
    return {
        (one, other): edge
        for (one, other), edge in edges.items()
        if edge.voided or not _led(out, one, other)
    }


def _led(out: Mapping[str, Sequence[str]], one: str, other: str) -> bool:
    """Tell whether a way of two steps or more leads from ``one`` to ``other``.

    Not through what leads back to ``one``: of a cycle every edge stays.
    """
    stack = [node for node in out.get(one, ()) if node != other]
    seen = {one, *stack}
    while stack:
        for node in out.get(stack.pop(), ()):
            if node == one:
                return False
            if node == other:
                return True
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return False


def _drawn(
    graph: Graph,
    layout: Layout,
    nodes: Mapping[str, Node],
    edges: Mapping[tuple[str, str], Edge],
    all_edges: int,
) -> Drawing:
    dots: dict[str, Dot] = {}
    lefts: list[tuple[float, float]] = []
    x = _MARGIN
    for column in layout.columns:
        named = [name for name in column if name in nodes or name == _SPEC]
        width = max((_width(graph, nodes.get(name)) for name in named), default=0.0)
        for name in named:
            dots[name] = _dot(graph, nodes.get(name), x, layout.heights[name], width)
        lefts.append((x, width))
        x += width + _GAP
    places = {name: lefts[n] for n, column in enumerate(layout.columns) for name in column}
    lines = [
        _line(graph, edge, [(*places[step], layout.heights[step]) for step in layout.routes[key]])
        for key, edge in edges.items()
    ]
    bottom = max(layout.heights.values(), default=0.0) * _ROW + _HEIGHT + 2 * _MARGIN
    return Drawing(
        width=x - _GAP + _MARGIN,
        height=bottom,
        dots=tuple(dots.values()),
        lines=tuple(sorted(lines, key=lambda line: bool(line.voided))),  # marked ones on top
        left_out=all_edges - len(edges),
    )


def _width(graph: Graph, node: Node | None) -> float:
    text = _SPEC if node is None else f"{node[1]} {graph.artifacts[node].version}"
    return min(len(text), 40) * _LETTER + _PADDING


def _dot(graph: Graph, node: Node | None, x: float, row: float, width: float) -> Dot:
    return Dot(
        x=x,
        y=_MARGIN + row * _ROW,
        width=min(_width(graph, node), width),
        height=_HEIGHT,
        name=_SPEC if node is None else node[1],
        version="" if node is None else graph.artifacts[node].version,
        kind="spec" if node is None else node[0],
        forced=node in graph.forced,
    )


def _line(graph: Graph, edge: Edge, way: Sequence[tuple[float, float, float]]) -> Line:
    """Return an edge as a smooth path; way: left, width and row of what it passes."""
    y = [_MARGIN + row * _ROW + _HEIGHT / 2 for _, _, row in way]
    own = _width(graph, edge.dependent)
    path = f"M{way[0][0] + min(own, way[0][1]):.1f} {y[0]:.1f}"
    for number in range(1, len(way)):
        left, width, _ = way[number]
        start = way[number - 1][0] + way[number - 1][1]
        if number == 1:
            path += f"H{start:.1f}"
        middle = (start + left) / 2
        path += f"C{middle:.1f} {y[number - 1]:.1f} {middle:.1f} {y[number]:.1f} "
        path += f"{left:.1f} {y[number]:.1f}"
        if number < len(way) - 1:
            path += f"H{left + width:.1f}"
    who = _SPEC if edge.dependent is None else edge.dependent[1]
    return Line(path=path, title=f"{who} requires {edge.requirement}", voided=edge.voided)
