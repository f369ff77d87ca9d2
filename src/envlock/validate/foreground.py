"""A program in the sandbox at the caller's terminal: Ctrl-C is its own to answer.

A terminal sends SIGINT to all that runs in its foreground, to bwrap as well, which ends of it and
ends the program.  So bwrap is started with SIGINT ignored.  What it starts would ignore it, too:
a Python of the image takes that back, and then becomes the program.  Standard library only.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envlock.validate.inside import Inside
    from envlock.validate.sandbox import Bind, Completed

_PYTHON = ("python3", "-I", "-S", "-c")
_TRIAL = "import _signal, os, sys"
_BECOME = (
    "import _signal, os, sys\n"
    "_signal.signal(_signal.SIGINT, _signal.SIG_DFL)\n"
    "try:\n"
    "    os.execvp(sys.argv[1], sys.argv[1:])\n"
    "except OSError as error:\n"
    "    sys.exit(f'{sys.argv[1]}: {error.strerror}')\n"
)


def run_in_front(
    inside: Inside, argv: tuple[str, ...], *, binds: tuple[Bind, ...] = (), network: bool = False
) -> Completed:
    """Run ``argv`` with the caller's terminal, and leave Ctrl-C to it.

    Where the image has no Python that works, or where SIGINT is ignored already, it is run as it
    is: Ctrl-C then ends the sandbox.  Raises SandboxError.
    """
    if not _can_be_left(inside):
        return inside.run(argv, binds=binds, network=network, interactive=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        words = (*_PYTHON, _BECOME, *argv)
        return inside.run(words, binds=binds, network=network, interactive=True)
    finally:
        signal.signal(signal.SIGINT, before)


def _can_be_left(inside: Inside) -> bool:
    """Tell whether SIGINT can be ignored here, and taken back inside."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return False
    return inside.run((*_PYTHON, _TRIAL)).returncode == 0
