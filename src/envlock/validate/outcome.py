"""What became of a command, as a check's result.  Standard library only."""

from __future__ import annotations

import signal

from envlock.validate.inside import shell_quoted
from envlock.validate.results import CheckKind, Result
from envlock.validate.sandbox import NOT_FOUND, Completed
from envlock.validate.shared import absent_libraries
from envlock.validate.text import last_lines

_TRACEBACK_LINES = 12
_FOR_OTHER_NUMPY = (
    "compiled code of a package above is for another numpy than the one here: lock a version of "
    "the package that was built for this numpy, or a numpy that it was built for (often numpy<2)"
)
_TOO_OLD = (
    "code that was generated (a _pb2.py of a package above) is too old for this protobuf: "
    "lock a newer version of that package, or protobuf<3.21"
)
_KNOWN = (
    # Debian's Python comes without the data that zoneinfo (PEP 615) looks for
    (
        "ZoneInfoNotFoundError: ",
        "the image has no time zones: add tzdata to debian.packages, and solve again",
    ),
    ("numpy.dtype size changed, may indicate binary incompatibility", _FOR_OTHER_NUMPY),
    ("numpy.core.multiarray failed to import", _FOR_OTHER_NUMPY),
    ("Descriptors cannot be created directly", _TOO_OLD),
    (
        "No module named 'pkg_resources'",
        "setuptools 82 no longer has it: add setuptools<82 to pypi.dependencies, and solve again",
    ),
)
"""What is in the last words of a check that failed, and what to do about it."""


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
    return (*said, *absent_libraries(said), *_advice(said))


def _advice(said: tuple[str, ...]) -> tuple[str, ...]:
    found = (advice for mark, advice in _KNOWN if any(mark in line for line in said))
    return tuple(dict.fromkeys(found))


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
