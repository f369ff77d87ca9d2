"""Ends a process group with SIGKILL before its n-th change of a file system (CRASH_AT).

On the PYTHONPATH of a command, this is imported as Python starts.  With CRASH_COUNT, a file, the
number of changes is written there at the end instead.  Changes are what Python's audit events
tell (PEP 578): files opened for writing, made, renamed, linked, removed.
"""

import os
import signal
import sys

_CHANGES = {
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod",
    "os.truncate", "tempfile.mkstemp", "tempfile.mkdtemp", "fcntl.flock", "subprocess.Popen",
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_AT = int(os.environ.get("CRASH_AT", "0"))
_COUNT = os.environ.get("CRASH_COUNT", "")
_seen = 0


def _note(event: str, arguments: tuple[object, ...]) -> None:
    global _seen
    if event == "open":
        flags = arguments[2]
        if not isinstance(flags, int) or not flags & _WRITING:
            return
    elif event not in _CHANGES:
        return
    _seen += 1
    if _seen == _AT:
        os.killpg(0, signal.SIGKILL)


def _tell() -> None:
    with open(_COUNT, "w") as file:  # noqa: PTH123 - nothing more is imported than must be
        file.write(str(_seen))


if _AT or _COUNT:
    sys.addaudithook(_note)
if _COUNT and os.environ.get("CRASH_MAIN", "") in {"", str(os.getppid())}:
    import atexit

    atexit.register(_tell)
