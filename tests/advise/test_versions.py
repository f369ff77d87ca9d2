"""Which versions are tried: those that the solver could take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from envlock.advise.versions import chosen_versions, distance, usable_versions
from envlock.solve.pypi.choosing import wheel_tags
from envlock.spec.model import Target

TAGS = wheel_tags("3.11", Target(name="linux-64", glibc="2.36"))
DAY = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass
class File:
    filename: str
    requires_python: str | None = None
    is_yanked: bool | None = None
    upload_time: datetime | None = DAY


def versions(*files: File, **more: object) -> list[str]:
    return usable_versions(files, TAGS, "3.11", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "file",
    [
        File("a-1.0.tar.gz"),
        File("a-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"),
        File("a-1.0-cp311-cp311-win_amd64.whl"),
        File("a-1.0-cp311-cp311-manylinux_2_40_x86_64.whl"),
        File("a-1.0-cp311-cp311-manylinux_2_17_aarch64.whl"),
        File("a-1.0-py3-none-any.whl", requires_python=">=3.12"),
        File("a-1.0-py3-none-any.whl", requires_python="nonsense"),
        File("a-1.0-py3-none-any.whl", is_yanked=True),
        File("a-1.0rc1-py3-none-any.whl"),
    ],
)
def test_what_the_solver_would_not_take(file: File) -> None:
    assert versions(file, File("a-0.9-py3-none-any.whl")) == ["0.9"]


def test_newest_first_by_version() -> None:
    names = [f"a-{v}-py3-none-any.whl" for v in ("1.9", "1.10", "1.2")]
    assert versions(*map(File, names)) == ["1.10", "1.9", "1.2"]


def test_pre_releases_where_there_is_nothing_else_or_one_is_in_use() -> None:
    pre = File("a-1.0rc1-py3-none-any.whl")
    assert versions(pre) == ["1.0rc1"]
    both = (pre, File("a-0.9-py3-none-any.whl"))
    assert versions(*both, current="1.0rc0") == ["1.0rc1", "0.9"]


def test_the_moment_after_which_nothing_counts() -> None:
    files = [
        File("a-1.0-py3-none-any.whl", upload_time=DAY.replace(year=2024)),
        File("a-1.1-py3-none-any.whl", upload_time=DAY),
        File("a-1.2-py3-none-any.whl", upload_time=None),
    ]
    assert versions(*files, exclude_newer=DAY) == ["1.0"]
    assert versions(*files) == ["1.2", "1.1", "1.0"]


def test_newest_nearest_and_other_series() -> None:
    every = [f"1.{n}.{patch}" for n in range(40, 0, -1) for patch in (3, 2, 1)]
    chosen, left = chosen_versions(every, "1.10.1", 12)
    assert chosen[:4] == ["1.40.3", "1.40.2", "1.40.1", "1.39.3"]
    assert {"1.10.2", "1.10.3", "1.9.2", "1.9.3"} <= set(chosen)
    assert {"1.11.3", "1.12.3", "1.8.3"} <= set(chosen)  # the last ones of series near by
    assert left == len(every) - 1 - 12


def test_an_older_series_behind_many_patch_releases() -> None:
    every = [f"3.1.{n}" for n in range(30, -1, -1)] + ["3.0.9", "2.9.7", "2.9.6", "2.8.1", "1.5"]
    chosen, _ = chosen_versions(every, "3.1.30", 12)
    assert {"3.0.9", "2.9.7", "1.5"} <= set(chosen)


@given(st.sets(st.integers(0, 60), max_size=40), st.integers(0, 60), st.integers(1, 20))
def test_never_more_than_the_limit_and_never_the_present_one(
    numbers: set[int], current: int, limit: int
) -> None:
    every = [f"1.{n}" for n in sorted(numbers, reverse=True)]
    chosen, left = chosen_versions(every, f"1.{current}", limit)
    assert len(chosen) == min(limit, len(numbers - {current}))
    assert len(chosen) + left == len(numbers - {current})
    assert f"1.{current}" not in chosen
    assert chosen == sorted(chosen, key=Version, reverse=True)
    assert len(set(chosen)) == len(chosen)


def test_distance() -> None:
    assert distance(["3", "2", "1"], "1", "3") == distance(["3", "2", "1"], "3", "1") == 2
