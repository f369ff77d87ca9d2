"""What proving an image found, as data.  The texts are ``report``'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "not-run", "noted", "accepted", "recovered"]
"""accepted: it failed, and the spec accepts that; recovered: it passed, and the spec accepts
that it fails."""

CheckKind = Literal[
    "python", "distributions", "requirements", "void", "version", "import", "run", "gpu", "driver",
    "check", "libraries",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One check.

    subject: what was looked at, in one line; detail: what was seen, line by line, and never
    with control characters; trace: the traceback behind it, for those who ask for more;
    seconds: how long it ran inside, None where nothing ran; override: the package of the
    override that asked for it, None for the whole environment; check: how the spec's
    ``accepts`` names it, empty where it cannot.
    """

    kind: CheckKind
    subject: str
    status: Status
    detail: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    seconds: float | None = None
    override: str | None = None
    check: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideFacts:
    """An override as the report's headline; against: ``"torch 2.6.0: triton==3.2.0"``."""

    package: str
    version: str
    against: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """The GPUs that the checks saw.

    names: as the driver states them; driver: its version, ``"580.159.04"``; cuda: the newest
    CUDA that it supports, ``"13.0"``; each None where nothing states it.
    """

    names: tuple[str, ...]
    driver: str | None = None
    cuda: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was checked of one image; image: its manifest's digest, empty without one."""

    name: str
    platform: str
    image: str
    overrides: tuple[OverrideFacts, ...]
    results: tuple[Result, ...]
    seconds: float
    gpu: GpuFacts | None = None

    @property
    def ok(self) -> bool:
        """True where nothing failed; what did not run, or failed as accepted, does not count."""
        return not any(result.status == "failed" for result in self.results)

    def count(self, status: Status) -> int:
        """Return how many results have this status."""
        return sum(result.status == status for result in self.results)
