"""The bounded matrix, and that it would notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..container.judges import need
from .cells import Cell, cells, find_clock
from .reproduce import Outcome, made_up, run, table, verdict

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def outcome(*digests: str, error: str = "") -> Outcome:
    return Outcome(cell=Cell(axis="umask", value="077"), digests=digests, error=error)


def test_a_bounded_matrix(tmp_path: Path) -> None:
    need("zstd")  # what the builder reads conda packages with, alone with the standard library
    axes = ("as it is", "user", "workers", "file system", "folder", "clock")
    outcomes = run(made_up(tmp_path), tmp_path, axes, find_clock())
    assert verdict(outcomes, None), "\n".join(table("made-up", outcomes, None))


def test_every_row_is_there() -> None:
    axes = {cell.axis for cell in cells(clock=None)}
    assert axes >= {
        "umask", "time zone", "locale", "hash seed", "folder", "user", "Python", "workers",
        "store", "file system", "clock",
    }  # fmt: skip


def test_what_differs_is_no_success() -> None:
    skipped = Outcome(cell=Cell(axis="clock", value="1999", skipped="nothing here"))
    assert verdict([outcome(ONE), outcome(ONE), skipped], ONE)
    assert not verdict([outcome(ONE), outcome(OTHER)], None)
    assert not verdict([outcome(ONE)], OTHER)
    assert not verdict([outcome(ONE), outcome(ONE, error="it broke")], None)
    assert not verdict([outcome(ONE, OTHER)], None)
    assert not verdict([skipped], None)
    lines = table("x", [outcome(ONE), outcome(OTHER)], None)
    assert lines[-1].endswith("NOT one digest")
    assert f"FAIL {OTHER}" in lines[2]
