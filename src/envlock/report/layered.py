"""A directed graph in columns, from left to right.

The steps of Sugiyama, Tagawa and Toda (1981): cycles are cut, every node goes as far right as
its longest way from a root is long, edges over several columns get a bend in each, the order in
the columns is mended until fewer edges cross, and nodes are drawn near what they belong to.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SWEEPS = 12

_Edge = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Columns from left to right, by their nodes' names; bends: the nodes of no name.

    heights: where each one is, in rows; routes: the nodes and bends that an edge passes.
    """

    columns: tuple[tuple[str, ...], ...]
    heights: Mapping[str, float]
    routes: Mapping[_Edge, tuple[str, ...]]


@dataclass(slots=True)
class _Work:
    columns: list[list[str]] = field(default_factory=list)
    before: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    after: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def layered(nodes: Sequence[str], edges: Iterable[_Edge]) -> Layout:
    """Lay out a graph; edges lead from the left to the right, but for those of a cycle."""
    edges = [edge for edge in dict.fromkeys(edges) if edge[0] != edge[1]]
    forward = _without_cycles(nodes, edges)
    ranks = _ranks(nodes, forward)
    work = _Work(columns=[[] for _ in range(max(ranks.values(), default=-1) + 1)])
    for node in nodes:
        work.columns[ranks[node]].append(node)
    routes = {}
    for edge in edges:
        way = _bent(work, edge, edge if edge in forward else edge[::-1], ranks)
        routes[edge] = way if edge in forward else way[::-1]
    _ordered(work)
    return Layout(
        columns=tuple(tuple(column) for column in work.columns),
        heights=_heights(work),
        routes=routes,
    )


def _without_cycles(nodes: Sequence[str], edges: Sequence[_Edge]) -> dict[_Edge, None]:
    """Return the edges without those that lead back to where a search comes from."""
    out: dict[str, list[str]] = defaultdict(list)
    for one, other in edges:
        out[one].append(other)
    state: dict[str, int] = {}
    back: set[_Edge] = set()
    for root in nodes:
        if root in state:
            continue
        stack = [(root, iter(out[root]))]
        state[root] = 1
        while stack:
            node, following = stack[-1]
            step = next(following, None)
            if step is None:
                state[node] = 2
                stack.pop()
            elif state.get(step) == 1:
                back.add((node, step))
            elif step not in state:
                state[step] = 1
                stack.append((step, iter(out[step])))
    return {edge: None for edge in edges if edge not in back}


def _ranks(nodes: Sequence[str], edges: Iterable[_Edge]) -> dict[str, int]:
    """Return the length of the longest way to each node."""
    into: dict[str, int] = dict.fromkeys(nodes, 0)
    out: dict[str, list[str]] = defaultdict(list)
    for one, other in edges:
        into[other] += 1
        out[one].append(other)
    ranks = dict.fromkeys(nodes, 0)
    ready = [node for node in nodes if not into[node]]
    while ready:
        node = ready.pop()
        for other in out[node]:
            ranks[other] = max(ranks[other], ranks[node] + 1)
            into[other] -= 1
            if not into[other]:
                ready.append(other)
    return ranks


def _bent(work: _Work, edge: _Edge, ends: _Edge, ranks: Mapping[str, int]) -> tuple[str, ...]:
    """Add an edge with a bend of its own in every column between; return what it passes."""
    one, other = ends
    name = "\0".join(edge)
    bends = [f"\0{name}\0{rank}" for rank in range(ranks[one] + 1, ranks[other])]
    for rank, bend in enumerate(bends, ranks[one] + 1):
        work.columns[rank].append(bend)
    way = (one, *bends, other)
    for left, right in pairwise(way):
        work.after[left].append(right)
        work.before[right].append(left)
    return way


def _ordered(work: _Work) -> None:
    """Mend the order in the columns, to and fro, and keep the best that was seen."""
    best, fewest = [list(column) for column in work.columns], _crossings(work)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        numbers = range(1, len(work.columns)) if forth else range(len(work.columns) - 2, -1, -1)
        for number in numbers:
            near = work.columns[number - 1 if forth else number + 1]
            places = {node: place for place, node in enumerate(near)}
            neighbours = work.before if forth else work.after
            own = {node: place for place, node in enumerate(work.columns[number])}
            work.columns[number].sort(
                key=lambda n: (_mean([places[m] for m in neighbours[n]], own[n]), own[n])
            )
        crossings = _crossings(work)
        if crossings < fewest:
            best, fewest = [list(column) for column in work.columns], crossings
    work.columns = best


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(work: _Work) -> int:
    """Return how many pairs of edges between neighbouring columns cross."""
    crossings = 0
    for column, following in pairwise(work.columns):
        places = {node: place for place, node in enumerate(following)}
        ends = [place for n in column for place in sorted(places[m] for m in work.after[n])]
        crossings += _inversions(ends)
    return crossings


def _inversions(ends: list[int]) -> int:
    """Return how many pairs are out of order, by merging."""
    if len(ends) < 2:
        return 0
    half = len(ends) // 2
    left, right = ends[:half], ends[half:]
    count = _inversions(left) + _inversions(right)
    left.sort()
    right.sort()
    place = 0
    for value in right:
        while place < len(left) and left[place] <= value:
            place += 1
        count += len(left) - place
    return count


def _heights(work: _Work) -> dict[str, float]:
    """Return a height for each node and bend: near its neighbours, a row apart, in order."""
    tallest = max((len(column) for column in work.columns), default=0)
    heights = {
        node: place + (tallest - len(column)) / 2
        for column in work.columns
        for place, node in enumerate(column)
    }
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        neighbours = work.before if forth else work.after
        for column in work.columns if forth else reversed(work.columns):
            wanted = [_mean([heights[m] for m in neighbours[n]], heights[n]) for n in column]
            heights |= dict(zip(column, _apart(wanted), strict=True))
    lowest = min(heights.values(), default=0.0)
    return {node: height - lowest for node, height in heights.items()}


def _apart(wanted: Sequence[float]) -> list[float]:
    """Return heights that rise by a row at least and are as near to ``wanted`` as that allows.

    Least squares, by pooling neighbours that get in each other's way.
    """
    pools: list[tuple[float, int]] = []  # mean of (height - place), and of how many
    for place, height in enumerate(wanted):
        pools.append((height - place, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, many), (other, more) = pools[-2:]
            pools[-2:] = [((one * many + other * more) / (many + more), many + more)]
    bases = [base for base, many in pools for _ in range(many)]
    return [base + place for place, base in enumerate(bases)]
