"""Runs ``python -m envlock`` in forks of a process that has read all its modules already.

``argv[1]`` is a socket's path.  Each request is one message: JSON with argv, cwd, env and umask,
and the descriptors that become 0, 1 and 2.  Answered are the number of the process, then its
wait status.  The process ends when its standard input does, and removes the socket's folder.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import envlock

_LARGEST = 1 << 17
"""Bytes of a request."""


def _import_all() -> None:
    for module in pkgutil.walk_packages(envlock.__path__, "envlock."):
        if not module.name.endswith("__main__") and ".ready" not in module.name:
            importlib.import_module(module.name)
    for name in ("jsonschema", "pypi_simple", "pysequoia", "remotezip", "requests", "rich.console",
                 "rich.progress", "solv", "tomli_w", "truststore", "typeshed_client"):  # fmt: skip
        importlib.import_module(name)


def _next_command(listener: socket.socket) -> dict[str, Any] | None:
    """Return what to run, in a fork that is to run it; None once nobody asks any more."""
    while True:
        ready, _, _ = select.select([listener.fileno(), 0], [], [])
        if 0 in ready:
            return None
        connection, _ = listener.accept()
        data, descriptors, _, _ = socket.recv_fds(connection, _LARGEST, 3)
        if os.fork() == 0:
            listener.close()
            if (request := _watched(connection, descriptors, data)) is not None:
                return request
        for descriptor in descriptors:
            os.close(descriptor)
        connection.close()


def _watched(
    connection: socket.socket, descriptors: list[int], data: bytes
) -> dict[str, Any] | None:
    """Fork once more: the child returns its request, this process tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if (child := os.fork()) == 0:
        connection.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        request: dict[str, Any] = json.loads(data)
        return request
    for descriptor in (0, 1, 2, *descriptors):
        os.close(descriptor)
    with contextlib.suppress(OSError):
        connection.sendall(struct.pack("i", child))
        connection.sendall(struct.pack("i", os.waitpid(child, 0)[1]))
    os._exit(0)


def main() -> None:
    """Serve until the standard input ends; in forks, be the command."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(sys.argv[1])
    listener.listen(64)
    _import_all()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork has no threads but its own"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    request = _next_command(listener)
    if request is None:
        shutil.rmtree(Path(sys.argv[1]).parent)  # whoever asked may have been killed
        return
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0] = str(Path.cwd())  # as python -m has it
    sys.argv = ["envlock", *request["argv"]]
    runpy.run_module("envlock", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
