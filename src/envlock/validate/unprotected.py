"""Run commands without the sandbox, where somebody asked for exactly that.

For machines where bubblewrap cannot be had: GPU machines are often containers themselves.  An
unpacked image is entered by root with a mount namespace and ``chroot``: the files are kept
apart, the network, the processes and the machine's devices are not.  A plain environment (its
root is ``/``) is run in as it is.  Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.errors import SandboxError
from envlock.validate.listening import listen
from envlock.validate.sandbox import NOT_FOUND, Completed

if TYPE_CHECKING:
    from envlock.validate.sandbox import Command

WARNING = (
    "NO SANDBOX: the image's code runs on this machine with nothing kept apart but its files "
    "(network, processes and devices are this machine's)"
)
PLAIN_WARNING = "NO SANDBOX: the checks run in this machine's own environment, as you"

_ENTER = Path(__file__).parent / "enter_root.py"
_FAILED = 125
_WRITABLE = ("/tmp", "/run", "/var/tmp")  # noqa: S108 - inside


@dataclass(frozen=True, slots=True)
class Unprotected:
    """:class:`envlock.validate.sandbox.Sandbox` that keeps nothing but files apart."""

    def run(self, rootfs: Path, command: Command) -> Completed:
        plain = rootfs == Path("/")
        if not plain and os.geteuid() != 0:
            raise SandboxError(
                "without the sandbox only root can enter an unpacked image",
                where=str(rootfs),
                hint="become root, or install bubblewrap and leave out --no-sandbox",
            )
        done = _ended(command) if plain else _ended(_entering(rootfs.resolve(), command))
        if done.returncode == _FAILED and not plain and done.stderr.startswith(b"envlock: "):
            raise SandboxError(
                "the unpacked image cannot be entered",
                where=str(rootfs),
                details=done.stderr.decode("utf-8", "replace").strip().splitlines(),
                hint="it takes the right to mount (CAP_SYS_ADMIN); a container may lack it",
            )
        return done


def _ended(command: Command) -> Completed:
    """Run a command of this machine, and end what it leaves behind."""
    with tempfile.TemporaryFile() as stdin:
        stdin.write(command.stdin)
        stdin.seek(0)
        output = None if command.interactive else subprocess.PIPE
        started = time.monotonic()
        try:
            process = subprocess.Popen(
                command.argv,
                stdin=None if command.interactive else stdin,
                stdout=output,
                stderr=output,
                env=dict(command.env),
                cwd=command.workdir,
                start_new_session=not command.interactive,
            )
        except OSError as error:
            said = f"{command.argv[0]}: {error.strerror}".encode()
            return Completed(
                returncode=NOT_FOUND, stdout=b"", stderr=said, timed_out=False, seconds=0.0
            )
        try:
            heard = listen(process, command.timeout)
        finally:
            if not command.interactive:
                with suppress(ProcessLookupError):  # nothing of it is left
                    os.killpg(process.pid, signal.SIGKILL)
        seconds = time.monotonic() - started
    code = process.returncode
    return Completed(
        returncode=128 - code if code < 0 else code,
        stdout=heard.stdout,
        stderr=heard.stderr,
        timed_out=heard.timed_out,
        seconds=seconds,
    )


def _entering(rootfs: Path, command: Command) -> Command:
    """Return the command that enters a root file system and runs another one there."""
    request = {
        "root": str(rootfs),
        "binds": [[str(b.source), b.target, b.writable, b.device] for b in command.binds],
        "tmpfs": [*_WRITABLE, *command.tmpfs],
        "env": dict(command.env),
        "user": list(command.user),
        "workdir": command.workdir,
        "argv": list(command.argv),
    }
    argv = (sys.executable, "-I", "-S", str(_ENTER), json.dumps(request))
    return replace(command, argv=argv, env={}, workdir="/")
