"""What the core tells of its progress, and a listener that says nothing.

The core calls these hooks; the command line decides what a person sees.  All
hooks may be called from any thread.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

Unit = Literal["bytes", "items"]


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, amount: int) -> None:
        """Report ``amount`` more units (bytes or items) as done; negative when work is redone."""


class Reporter(Protocol):
    """Hears of stages and of what deserves a person's attention."""

    def task(
        self, label: str, total: int | None = None, unit: Unit = "items"
    ) -> AbstractContextManager[Task]:
        """Start a task; ``total`` is None where nobody knows it beforehand."""

    def note(self, text: str) -> None:
        """Say something worth knowing."""

    def warn(self, text: str) -> None:
        """Say something that the user should act on."""


class _SilentTask:
    def advance(self, amount: int) -> None:
        """Ignore."""


class SilentReporter:
    """The default listener: hears everything and says nothing."""

    @contextmanager
    def task(
        self,
        label: str,  # noqa: ARG002
        total: int | None = None,  # noqa: ARG002
        unit: Unit = "items",  # noqa: ARG002
    ) -> Iterator[Task]:
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Ignore."""

    def warn(self, text: str) -> None:
        """Ignore."""


SILENT = SilentReporter()
