"""What proving an image found, as data.  The texts are ``report``'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "not-run", "noted"]
CheckKind = Literal[
    "python", "distributions", "requirements", "void", "version", "import", "run", "gpu", "check"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One check.

    subject: what was looked at, in one line; detail: what was seen, line by line, and never
    with control characters; seconds: how long it ran inside, None where nothing ran; override:
    the package of the override that asked for it, None for the whole environment.
    """

    kind: CheckKind
    subject: str
    status: Status
    detail: tuple[str, ...] = ()
    seconds: float | None = None
    override: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideFacts:
    """An override as the report's headline; against: ``"torch 2.6.0: triton==3.2.0"``."""

    package: str
    version: str
    against: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was checked of one image; image: its manifest's digest."""

    name: str
    platform: str
    image: str
    overrides: tuple[OverrideFacts, ...]
    results: tuple[Result, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """True where nothing failed; what did not run does not count."""
        return not any(result.status == "failed" for result in self.results)

    def count(self, status: Status) -> int:
        """Return how many results have this status."""
        return sum(result.status == status for result in self.results)
