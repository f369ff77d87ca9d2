"""The progress display; rich is imported only on a terminal."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text


class _Amount(ProgressColumn):
    """Bytes with their rate, or a count, whichever the task has."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._bytes, self._speed = DownloadColumn(), TransferSpeedColumn()
        self._count = MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        if task.fields.get("unit") == "bytes":
            return Text.assemble(self._bytes.render(task), "  ", self._speed.render(task))
        return self._count.render(task)


class _Console(Console):
    """A terminal whose last columns stay free: the ``^C`` that is echoed there breaks no line."""

    @property
    def options(self) -> ConsoleOptions:
        options = super().options
        return options.update_width(max(options.max_width - _FREE, 1))


_FREE = 3
_WIDE = 100
"""From so many characters on a bar has a width of its own, and does not fill the line."""


def new_progress() -> Progress:
    """Return a display on stderr that vanishes when it is done."""
    console = _Console(stderr=True)
    fill = console.width < _WIDE
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None if fill else 40),
        _Amount(),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
        console=console,
        transient=True,
        expand=fill,
    )
