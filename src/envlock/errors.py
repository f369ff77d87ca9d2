"""Every error envlock raises on purpose.

An error is data: what happened (``message``), where (``where``), what was seen
(``details``), and what to do next (``hint``).  Only the command line turns it
into text.  ``exit_code`` follows the documented contract:

* 1: the environment is wrong (unsatisfiable, stale, a check failed)
* 2: wrong usage, configuration or spec
* 3: a network, registry or disk failure that a retry may mend
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDTH = 120
"""How much of a line is quoted."""


class EnvlockError(Exception):
    """Base of all errors that are shown to the user without a traceback."""

    exit_code: ClassVar[int] = 1
    data: Mapping[str, Any] | None = None
    """More for machines, by key; ``--json`` shows it beside the message."""

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        details: tuple[str, ...] | list[str] = (),
        hint: str | None = None,
    ) -> None:
        self.message = _one_line(message)
        super().__init__(self.message)
        self.where = where and _one_line(where)
        self.details = tuple(_one_line(line) for line in details)
        self.hint = hint and redact(hint)

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        tail = [f"hint: {self.hint}"] if self.hint else []
        return "\n".join([head, *self.details, *tail])


def _one_line(text: str) -> str:
    """Return a text without credentials in one line: what it quotes must not look like ours."""
    return redact(" ".join(text.split("\n")) if "\n" in text else text)


class UsageError(EnvlockError):
    """The command line or the machine's configuration asks for something impossible."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in a text file; line and column count from 1."""

    file: str
    line: int
    column: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def in_flow(self) -> bool:
        """Tell whether a YAML list's item stands in ``[ ]`` or is a ``{ }``, not behind ``- ``."""
        before = self.text[: self.column - 1].rstrip()
        return bool(self.text) and (
            not before.endswith("-") or self.text[self.column - 1 : self.column] == "{"
        )

    def quoted(self) -> tuple[str, ...]:
        """Return the line and a caret below the column; nothing of a line with a credential."""
        if not self.text or redact(self.text) != self.text:
            return ()
        start = max(0, self.column - _WIDTH // 2) if len(self.text) > _WIDTH else 0
        before = self.text[start : self.column - 1]
        shown = self.text[start : start + _WIDTH]
        number = str(self.line)
        blank = "".join("\t" if letter == "\t" else " " for letter in before)
        return (f"{number} | {shown}", f"{' ' * len(number)} | {blank}^")


class SpecError(EnvlockError):
    """A spec that cannot be used; names the place and quotes the line."""

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        location: Location | None = None,
        details: tuple[str, ...] | list[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(
            message,
            where=str(location) if location else None,
            details=(*(location.quoted() if location else ()), *details),
            hint=hint,
        )
        self.location = location


class UnsatisfiableError(EnvlockError):
    """No set of packages meets what the spec asks for."""


class OverrideError(EnvlockError):
    """An override that no longer describes what it overrides."""


class StaleOverrideError(OverrideError):
    """An override that has no effect any more, or has outlived its ``until``."""


class LockError(EnvlockError):
    """A lock file that cannot be read or was not written by envlock."""


class StaleLockError(EnvlockError):
    """The lock does not belong to the spec, or was changed behind envlock's back."""


class CheckFailedError(EnvlockError):
    """A check that ran inside the image failed; the image is not published."""


class ArtifactError(EnvlockError):
    """The content of a verified artifact breaks its format's rules or leaves its root."""


class SandboxError(EnvlockError):
    """The sandbox cannot be set up on this machine; nothing was run."""


class GpuError(EnvlockError):
    """This machine's GPU cannot be used: none is there, or its driver does not fit."""


class FetchError(EnvlockError):
    """A file could not be had from anywhere, or what came was not what the lock names."""

    exit_code = 3


class IntegrityError(FetchError):
    """Bytes arrived whose size or sha256 differs from the promised one; they were dropped."""


class DiskError(EnvlockError):
    """The operating system refused to read or write a file."""

    exit_code = 3
