"""One wheel over several layers: where it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.layers.entry import regular
from envlock.layers.split import part_of, parts_needed, shares

weights = st.lists(st.integers(1, 10_000), max_size=60)


@pytest.mark.parametrize(
    ("size", "limit", "count"),
    [(100, 100, 1), (101, 100, 3), (150, 100, 3), (200, 100, 4), (201, 100, 5), (766, 500, 4)],
)
def test_how_many_parts(size: int, limit: int, count: int) -> None:
    assert parts_needed(size, limit) == count


@given(weights, st.integers(10_000, 50_000))
def test_no_part_is_larger_than_the_limit_where_no_file_is(sizes: list[int], limit: int) -> None:
    runs = cut(sizes, parts_needed(sum(sizes), limit))
    assert all(sum(run) <= limit for run in runs)


@given(weights, st.integers(1, 12))
def test_all_is_there_once_and_in_order(sizes: list[int], count: int) -> None:
    runs = cut(sizes, count)
    assert [size for run in runs for size in run] == sizes
    assert len(runs) == count
    assert sum(not run for run in runs) == max(0, count - len(sizes))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=9), st.integers(1, 4))
def test_the_largest_part_is_as_small_as_can_be(sizes: list[int], count: int) -> None:
    assert max(map(sum, cut(sizes, count))) == least(sizes, count)


def cut(sizes: list[int], count: int) -> list[list[int]]:
    ends = shares(sizes, count)
    return [sizes[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def least(sizes: list[int], count: int) -> int:
    """Return the smallest largest run, by trying all."""
    if count == 1:
        return sum(sizes)
    return min(max(sum(sizes[:n]), least(sizes[n:], count - 1)) for n in range(len(sizes) + 1))


def test_parts_are_named() -> None:
    entries = [regular(f"f{n}", bytes(1000)) for n in range(5)]
    parts = [part_of(entries, f"{n} of 3") for n in (1, 2, 3)]
    assert [len(part) for part in parts] in ([2, 2, 1], [2, 1, 2], [1, 2, 2])
    assert [entry for part in parts for entry in part] == entries
