"""How many processes a sandbox has, so that one that multiplies without end is ended.

RLIMIT_NPROC would not do: it counts what else the user runs, and the kernel takes root out of it,
whose processes are root's to it also in a namespace.  So they are counted: cheaply all of the
machine (/proc/loadavg, proc(5)), and only where these are too many, those of the sandbox's PID
namespace.  Standard library only.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PERIOD = 0.1
"""Seconds between two looks."""

_PROC = Path("/proc")


def _threads() -> int:
    """Return how many threads the machine has, 0 where it does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int((_PROC / "loadavg").read_text().split()[3].partition("/")[2])
    return 0


@dataclass(slots=True, kw_only=True)
class Crowd:
    """Counts the processes below ``bwrap``'s process."""

    bwrap: int
    limit: int
    _not_before: float = 0.0

    def is_over(self) -> bool:
        """Tell whether the sandbox has more threads than ``limit``.

        Where the machine has that many anyway, a tenth of a processor at most goes into counting.
        """
        started = time.monotonic()
        if _threads() <= self.limit or started < self._not_before:
            return False
        over = self._count() > self.limit
        ended = time.monotonic()
        self._not_before = ended + 9 * (ended - started)
        return over

    def _count(self) -> int:
        """Count the threads of the PID namespace whose first process is bwrap's child."""
        try:
            children = (_PROC / f"{self.bwrap}/task/{self.bwrap}/children").read_text().split()
            inside = _namespace(int(children[0]))
        except (OSError, IndexError):
            return 0
        found = 0
        for name in os.listdir(_PROC):  # noqa: PTH208 - a hundred thousand paths are not made
            if name.isdecimal():
                with suppress(OSError):
                    if _namespace(int(name)) == inside:
                        found += os.stat(f"/proc/{name}/task").st_nlink - 2  # noqa: PTH116
        return found


def _namespace(process: int) -> int:
    return os.stat(f"/proc/{process}/ns/pid").st_ino  # noqa: PTH116
