"""What became of a command, as a check's result.  Standard library only."""

from __future__ import annotations

import signal

from envlock.validate.inside import shell_quoted
from envlock.validate.results import CheckKind, Result
from envlock.validate.sandbox import NOT_FOUND, Completed
from envlock.validate.shared import absent_libraries
from envlock.validate.text import last_lines

_TRACEBACK_LINES = 12


def ran(kind: CheckKind, done: Completed, argv: tuple[str, ...], package: str | None) -> Result:
    """Return the result of a check that is a command: exit code 0 is a pass."""
    passed = done.returncode == 0 and not done.timed_out
    return Result(
        kind=kind,
        subject=shell_quoted(argv),
        status="passed" if passed else "failed",
        detail=() if passed else told(done, argv[0]),
        seconds=done.seconds,
        override=package,
    )


def told(done: Completed, program: str) -> tuple[str, ...]:
    """Say how a failed check ended, and what to do where that is known."""
    said = explain(done, program)
    return (*said, *absent_libraries(said), *_absent_zones(said))


def _absent_zones(said: tuple[str, ...]) -> tuple[str, ...]:
    """Return what to do where zoneinfo (PEP 615) found no data: Debian's Python comes without."""
    if not any("ZoneInfoNotFoundError: " in line for line in said):
        return ()
    return ("the image has no time zones: add tzdata to debian.packages, and solve again",)


def explain(done: Completed, program: str) -> tuple[str, ...]:
    """Say how a command ended, and what it said last."""
    said = last_lines(done.stderr, _TRACEBACK_LINES) or last_lines(done.stdout, _TRACEBACK_LINES)
    if done.timed_out:
        return (*said, f"not done after {done.seconds:.0f} s: everything was killed")
    if done.crowded:
        return (*said, "more processes than a check may have: everything was killed")
    if done.returncode == NOT_FOUND and not said[1:]:
        return (f"{program} is not in the image, or cannot be run",)
    if done.returncode > 128:
        try:
            name = signal.Signals(done.returncode - 128).name
        except ValueError:
            name = str(done.returncode - 128)
        return (*said, f"ended by signal {name}")
    if not done.returncode:
        return (*said, "it ended the process by itself (exit code 0)")
    if done.returncode == 1 and said:  # a traceback says more
        return said
    return (*said, f"exit code {done.returncode}")
