"""The command line in forks of a process that has read its modules: half the time of a start.

What is run is what ``python -m envlock`` runs, in a process of its own with its own environment,
folder and descriptors.  Only variables that no module looks at while it is read may differ.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SERVER = Path(__file__).with_name("warm_server.py")
_LATE = frozenset({"HOME", "NO_PROXY", "PATH", "PYTHONPATH", "TMPDIR"})
"""Variables that are looked at when a command runs, as are those of envlock and of XDG."""
_WORTH = 2
"""So many commands are started as usual before the process that is forked is."""


class Warm:
    """One process to fork from; started when it pays off, and ended with this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._server: subprocess.Popen[str] | None = None
        self._folder = Path()

    def takes(self, environ: Mapping[str, str]) -> bool:
        """Tell whether a command with this environment is to be run here."""
        if any(key not in _LATE and not key.startswith(("ENVLOCK_", "XDG_")) for key in environ):
            return False
        with self._lock:
            self._asked += 1
            if self._asked <= _WORTH:
                return False
            if self._server is None:
                self._start(environ["PYTHONPATH"])
        return True

    def _start(self, path: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="warm-"))
        self._server = subprocess.Popen(
            [sys.executable, str(_SERVER), str(self._folder / "socket")],
            env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": path},
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._stop)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"

    def _stop(self) -> None:
        assert self._server is not None
        with self._server as server, contextlib.suppress(OSError):
            assert server.stdin is not None
            server.stdin.close()

    def run(
        self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command and return its output; raises subprocess.TimeoutExpired."""
        request = {"argv": arguments, "cwd": str(cwd), "env": env, "umask": _umask()}
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            open(os.devnull, "rb") as nothing,  # noqa: PTH123
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection,
        ):
            connection.connect(str(self._folder / "socket"))
            numbers = [nothing.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(connection, [json.dumps(request).encode()], numbers)
            connection.settimeout(timeout)
            child = _number(connection)
            try:
                status = os.waitstatus_to_exitcode(_number(connection))
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout) from None
            texts = [_text(stream.fileno()) for stream in (out, err)]
        return subprocess.CompletedProcess(list(arguments), status, *texts)


def _number(connection: socket.socket) -> int:
    (number,) = struct.unpack("i", connection.recv(4))
    return int(number)


def _text(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).decode().replace("\r\n", "\n").replace("\r", "\n")


def _umask() -> int:
    """Return this process's umask, which cannot be asked for without a change."""
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("Umask:")
    )
    return int(line.split()[1], 8)


warm = Warm()
"""The one of this process."""
