"""Whether this machine runs programs of another architecture, found out without an image.

The kernel knows (binfmt_misc, where an emulator can be registered, is often not to be seen in a
container): it is given the smallest program there is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import subprocess

from envlock.errors import SandboxError
from envlock.platforms import PLATFORMS

HINT = "--no-validate builds it without the proof; prove it on such a machine"

_EXIT = {
    "amd64": (62, bytes.fromhex("31ff 6a3c 58 0f05")),  # xor edi, edi; push 60; pop rax; syscall
    "arm64": (183, bytes.fromhex("000080d2 a80b80d2 010000d4")),  # mov x0, 0; mov x8, 93; svc 0
}
"""By GOARCH: ELF's number of the machine, and ``exit(0)`` in its instructions."""

_PATIENCE = 10  # seconds
_START = 0x400000
_HEADER, _SEGMENT = 64, 56


def require_machine(architecture: str) -> None:
    """Raise SandboxError where nothing here runs programs of ``architecture`` (GOARCH).

    What only the image's own folders would tell is left to who runs something in it.
    """
    machine = os.uname().machine
    native = {known.machine: known.oci for known in PLATFORMS.values()}.get(machine)
    if architecture == native or architecture not in _EXIT or is_run(program(architecture)):
        return
    raise SandboxError(
        f"this image is for linux/{architecture} and this machine is {machine}", hint=HINT
    )


def program(architecture: str) -> bytes:
    """Return a static executable that ends with 0 (the System V ABI's ELF, of 64 bits)."""
    number, code = _EXIT[architecture]
    begin = _HEADER + _SEGMENT
    size = begin + len(code)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(ident, 2, number, 1, _START + begin, _HEADER, 0, 0),
        *(_HEADER, _SEGMENT, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _START, _START, size, size, 0x1000)
    return header + segment + code


def is_run(executable: bytes) -> bool:
    """Tell whether the kernel takes a program; True as well where that cannot be found out."""
    with contextlib.ExitStack() as stack:
        try:
            place = _descriptor(executable)
            stack.callback(os.close, place)
            subprocess.run(
                [f"/proc/self/fd/{place}"],
                pass_fds=(place,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_PATIENCE,
                check=False,
            )
        except OSError as error:
            return error.errno != errno.ENOEXEC
        except subprocess.SubprocessError:
            return True
    return True


def _descriptor(executable: bytes) -> int:
    """Return a file of no folder to be run: nobody may have it open for writing then."""
    written = os.memfd_create("envlock-foreign", os.MFD_CLOEXEC)
    try:
        os.write(written, executable)
        os.fchmod(written, 0o500)
        return os.open(f"/proc/self/fd/{written}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(written)
