"""Everything that is printed: messages on stderr, results on stdout, progress on a terminal."""

from __future__ import annotations

import json
import re
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envlock.cli.terminal import fitted, painted, wants_colour, width_of
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from envlock.errors import EnvlockError
    from envlock.progress import Task, Unit

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Return ``text`` without characters that could steer a terminal."""
    return _CONTROL.sub("", text)


@dataclass
class Output:
    """How much is said and where; also the core's reporter (:class:`envlock.progress.Reporter`)."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    warnings: list[str] = field(default_factory=list)
    _progress: Progress | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def result(self, text: str, *, verbatim: bool = False) -> None:
        """Print what is the command's result, unless JSON is; verbatim: a file's text."""
        if self.json:
            return
        shown = clean(text)
        if not verbatim:
            shown = fitted(shown, width_of(sys.stdout))
            shown = painted(shown, colour=wants_colour(sys.stdout))
        print(shown)

    def document(self, value: dict[str, Any]) -> None:
        """Print the command's result for machines, where it was asked for."""
        if self.json:
            print(json.dumps(value, indent=2, sort_keys=True))

    def message(self, text: str) -> None:
        """Tell a person something that is not the result."""
        if not self.quiet:
            self._say(text)

    def alert(self, text: str) -> None:
        """Tell a person something that matters even where they asked for quiet."""
        self._say(text)

    def note(self, text: str) -> None:
        if self.verbose and not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """Tell a person what may be wrong; what is the same of many environments is told once."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._say(text, "warning", "33")

    def error(self, error: EnvlockError) -> None:
        """Print an error: what, where, what was seen, what to do."""
        self.failure(error)
        self.problem(error)

    def failure(self, error: EnvlockError) -> None:
        """Print an error for machines, where they were asked for."""
        self.document({"error": error_document(error)})

    def problem(self, error: EnvlockError) -> None:
        """Print an error for people, also one of several."""
        place = f"{error.where}: " if error.where else ""
        self._say(f"{place}{error.message}", "error", "31;1")
        for line in error.details:
            self._say(line)
        if error.hint:
            first, *rest = error.hint.splitlines()
            self._say(first, "hint", "36")
            for line in rest:
                self._say(line, verbatim=True)  # it may be YAML to paste

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: Unit = "items") -> Iterator[Task]:
        """Show a line of progress on a terminal; elsewhere say nothing."""
        if self.quiet or self.json or not sys.stderr.isatty():
            yield _NoTask()
            return
        with self._lock:
            progress = self._started()
            task = progress.add_task(label, total=total, unit=unit)
        try:
            yield _ShownTask(progress, task)
        finally:
            with self._lock:
                progress.remove_task(task)
                if not progress.tasks and self._progress is progress:
                    progress.stop()
                    self._progress = None

    def _started(self) -> Progress:
        if self._progress is None:
            from envlock.cli.bars import new_progress

            self._progress = new_progress()
            self._progress.start()
        return self._progress

    def close(self) -> None:
        """Take the progress display away, whoever still works, and show the cursor again."""
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None

    def _say(self, text: str, label: str = "", colour: str = "", *, verbatim: bool = False) -> None:
        head = f"{label}: " if label else ""
        shown = clean(head + redact(text))
        if not verbatim:
            shown = fitted(shown, width_of(sys.stderr))
            if wants_colour(sys.stderr):
                shown = painted(shown, colour=True)
                if label:
                    shown = f"\x1b[{colour}m{label}\x1b[0m{shown.removeprefix(label)}"
        progress = self._progress
        if progress is None:
            print(shown, file=sys.stderr, flush=True)
            return
        from rich.text import Text

        progress.console.print(Text.from_ansi(shown), soft_wrap=True)


class _NoTask:
    def advance(self, amount: int) -> None:
        """Show nothing."""


class _ShownTask:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, amount: int) -> None:
        self._progress.advance(self._task, amount)


def error_document(error: EnvlockError) -> dict[str, Any]:
    """Return an error as ``--json`` shows it."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "where": error.where,
        "details": list(error.details),
        "hint": error.hint,
        "exit_code": error.exit_code,
        **(error.data or {}),
    }


def megabytes(size: int) -> str:
    """Return a size for people: ``3.1 GB``, ``17 MB``, ``4 kB``."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= step:
            value = size / step
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{size} B"
