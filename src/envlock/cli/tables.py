"""Columns side by side, on the terminal or in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.cli.output import Output


def table(output: Output, rows: Sequence[Sequence[str]]) -> None:
    """Print rows as results; the last column as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        output.result("  ".join(cells).rstrip())
