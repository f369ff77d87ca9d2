"""The two layouts: rectangles by size, and graphs in columns."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.report.layered import layered
from envlock.report.treemap import Box, squarified

SIZES = st.lists(st.integers(0, 10**9), max_size=40)
BOXES = st.builds(
    Box,
    x=st.floats(-100, 100),
    y=st.floats(-100, 100),
    width=st.floats(1, 2000),
    height=st.floats(1, 2000),
)
NODES = 12
EDGES = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=40, unique=True
)


@given(SIZES, BOXES)
def test_areas_are_as_the_sizes(sizes: list[int], box: Box) -> None:
    found = squarified(sizes, box)
    area = box.width * box.height
    for size, one in zip(sizes, found, strict=True):
        wanted = area * size / sum(sizes) if sum(sizes) else 0
        assert one.width * one.height == pytest.approx(wanted, rel=1e-6, abs=area * 1e-9)
        slack = 1e-6 * (box.width + box.height)
        assert one.x >= box.x - slack
        assert one.y >= box.y - slack
        assert one.x + one.width <= box.x + box.width + slack
        assert one.y + one.height <= box.y + box.height + slack


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=15))
def test_rectangles_do_not_overlap(sizes: list[int]) -> None:
    for one, other in combinations(squarified(sizes, Box(x=0, y=0, width=100, height=60)), 2):
        wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        assert min(wide, high) <= 1e-6


def test_equal_sizes_are_nearly_square() -> None:
    for one in squarified([1] * 12, Box(x=0, y=0, width=400, height=300)):
        assert 0.5 <= one.width / one.height <= 2


def test_nothing_has_no_area() -> None:
    assert squarified([], Box(x=0, y=0, width=1, height=1)) == []
    (empty,) = squarified([5], Box(x=0, y=0, width=0, height=9))
    assert (empty.width, empty.height) == (0, 0)


@given(EDGES)
def test_columns_and_rows(numbers: list[tuple[int, int]]) -> None:
    nodes = [f"n{number}" for number in range(NODES)]
    edges = [(f"n{one}", f"n{other}") for one, other in numbers]
    layout = layered(nodes, edges)
    column = {node: number for number, nodes in enumerate(layout.columns) for node in nodes}
    assert set(nodes) <= column.keys()
    for inhabitants in layout.columns:
        heights = [layout.heights[node] for node in inhabitants]
        assert all(after - before >= 1 - 1e-6 for before, after in pairwise(heights))
    assert layout.routes.keys() == {edge for edge in edges if edge[0] != edge[1]}
    for (one, other), route in layout.routes.items():
        assert (route[0], route[-1]) == (one, other)
        steps = {column[b] - column[a] for a, b in pairwise(route)}
        assert steps in ({1}, {-1})


def test_without_a_cycle_all_leads_to_the_right() -> None:
    layout = layered(["a", "b", "c", "d"], [("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")])
    named = [[node for node in column if "\0" not in node] for column in layout.columns]
    assert named == [["a"], ["d", "b"], ["c"]] or named == [["a"], ["b", "d"], ["c"]]
    assert len(layout.routes["a", "c"]) == 3


def test_edges_are_uncrossed() -> None:
    layout = layered(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])
    order = {node: layout.heights[node] for node in "abxy"}
    assert (order["a"] < order["b"]) == (order["y"] < order["x"])
