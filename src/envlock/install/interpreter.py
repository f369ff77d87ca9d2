"""The machine's own Python, for environments that bring none."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from envlock.errors import UsageError

_ASK = (
    "import json, platform, sys;"
    "print(json.dumps([platform.python_implementation(), platform.python_version(),"
    "getattr(sys, '_base_executable', '') or sys.executable, sys.base_prefix]))"
)
_PATIENCE = 30  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython; program and base (its prefix) are absolute, version is whole: ``3.12.4``."""

    program: Path
    base: Path
    version: str


def find_interpreter(wanted: str, named: str | None, search_path: str) -> Interpreter:
    """Return the machine's CPython ``wanted`` (``"3.12"``).

    named: what the user says it is, a path or a name; search_path: as in PATH.  Raises
    UsageError where there is none.
    """
    hint = f"name one with --python, install python{wanted}, or let conda provide it"
    names = [named] if named is not None else [f"python{wanted}", "python3", "python"]
    seen = []
    for name in names:
        program = shutil.which(name, path=search_path)
        found = _ask(program) if program else None
        if found is None:
            continue
        implementation, version, executable, base = found
        if implementation == "CPython" and f"{version}.".startswith(f"{wanted}."):
            return Interpreter(program=Path(executable), base=Path(base), version=version)
        seen.append(f"  {program} is {implementation} {version}")
    if named is not None and not seen:
        raise UsageError(f"--python {named}: this is no Python that can be run", hint=hint)
    raise UsageError(
        f"the environment is for Python {wanted}, and this machine has none",
        details=seen,
        hint=hint,
    )


def _ask(program: str) -> tuple[str, str, str, str] | None:
    """Return implementation, version, base executable and base prefix of an interpreter."""
    try:
        done = subprocess.run(
            [program, "-I", "-S", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        )
        one, two, three, four = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return str(one), str(two), str(three), str(four)
