"""Hear what a process says until it ends, or end it.  Standard library only."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from envlock.validate.crowd import PERIOD

if TYPE_CHECKING:
    from envlock.validate.crowd import Crowd

CAPTURE_LIMIT = 4 << 20
"""Bytes kept of each of stdout and stderr, the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The ends of both outputs, and why the process was killed, if it was."""

    stdout: bytes
    stderr: bytes
    timed_out: bool
    crowded: bool


def listen(
    process: subprocess.Popen[bytes], timeout: float | None, crowd: Crowd | None = None
) -> Heard:
    """Collect both outputs' ends until the process ends, or ends for its time or its crowd.

    Killing bwrap kills the first process of its PID namespace (--die-with-parent) and the
    kernel then kills all others in it.
    """
    pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]
    kept = {pipe: bytearray() for pipe in pipes}
    try:
        timed_out, crowded = _wait(process, kept, timeout, crowd)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        for pipe in pipes:
            pipe.close()
    outputs = [bytes(kept[pipe][-CAPTURE_LIMIT:]) for pipe in pipes] or [b"", b""]
    return Heard(stdout=outputs[0], stderr=outputs[1], timed_out=timed_out, crowded=crowded)


def _wait(
    process: subprocess.Popen[bytes],
    kept: dict[IO[bytes], bytearray],
    timeout: float | None,
    crowd: Crowd | None,
) -> tuple[bool, bool]:
    """Read until the process has ended; returns whether its time was up, its crowd too large."""
    started = looked = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for pipe in kept:
            selector.register(pipe, selectors.EVENT_READ)
        while True:
            left = None if timeout is None else max(0.0, started + timeout - time.monotonic())
            pause = left if crowd is None else min(PERIOD, PERIOD if left is None else left)
            if selector.get_map():
                _read(selector, kept, pause)
            else:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(pause)
                    return False, False
            now = time.monotonic()
            if timeout is not None and now >= started + timeout:
                return True, False
            if crowd is not None and now >= looked + PERIOD:
                looked = now
                if crowd.is_over():
                    return False, True


def _read(
    selector: selectors.BaseSelector, kept: dict[IO[bytes], bytearray], pause: float | None
) -> None:
    for key, _ in selector.select(pause):
        data = os.read(key.fd, 1 << 16)
        if not data:
            selector.unregister(key.fileobj)
        buffer = kept[key.fileobj]  # type: ignore[index]
        buffer += data
        if len(buffer) > 2 * CAPTURE_LIMIT:
            del buffer[:-CAPTURE_LIMIT]
