"""The system call filter of every sandbox: nobody types into the caller's terminal.

TIOCSTI puts input into a terminal as if a person had typed it there, and TIOCLINUX can paste
into a virtual console; both fail with EPERM.  The filter is classic BPF over ``struct
seccomp_data`` (Linux, Documentation/userspace-api/seccomp_filter.rst).  It knows both 64-bit
machines and the 32-bit programs that each of them also runs.  Standard library only.
"""

from __future__ import annotations

import errno
import struct

MACHINES = frozenset({"x86_64", "i686", "aarch64", "armv8l"})
"""What ``os.uname().machine`` says where :func:`terminal_filter` knows every system call."""

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_IOCTL = {
    0xC000003E: (16, 514),  # AUDIT_ARCH_X86_64; 514: x32's, which old kernels took without its bit
    0x40000003: (54,),  # AUDIT_ARCH_I386
    0xC00000B7: (29,),  # AUDIT_ARCH_AARCH64
    0x40000028: (54,),  # AUDIT_ARCH_ARM
}
_X86_64 = 0xC000003E
_X32_BIT = 0x40000000

# offsets into struct seccomp_data; the low half of args[1], as all of these are little endian
_NUMBER, _ARCHITECTURE, _REQUEST = 0, 4, 24
# linux/bpf_common.h, linux/seccomp.h
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def terminal_filter() -> bytes:
    """Return the filter as ``bwrap --seccomp`` reads it, an array of struct sock_filter.

    The kernel looks at a request's low 32 bits only, so the filter does too.  The x32 ABI has
    no system call (ENOSYS), and an unknown architecture may do nothing (EPERM).
    """
    program = [_one(_LOAD, _ARCHITECTURE)]
    for architecture, numbers in _IOCTL.items():
        block = [_one(_LOAD, _NUMBER)]
        if architecture == _X86_64:
            block += [_one(_IF_AT_LEAST, _X32_BIT, no=1), _one(_RETURN, _ERRNO | errno.ENOSYS)]
        for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
            block.append(_one(_IF_EQUAL, number, yes=left))
        block += [
            _one(_RETURN, _ALLOW),
            _one(_LOAD, _REQUEST),
            _one(_IF_EQUAL, _TIOCSTI, yes=2),
            _one(_IF_EQUAL, _TIOCLINUX, yes=1),
            _one(_RETURN, _ALLOW),
            _one(_RETURN, _ERRNO | errno.EPERM),
        ]
        program += [_one(_IF_EQUAL, architecture, no=len(block)), *block]
    program.append(_one(_RETURN, _ERRNO | errno.EPERM))
    return b"".join(program)


def _one(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """Return a struct sock_filter; yes and no: how many instructions a jump leaves out."""
    return struct.pack("<HBBI", code, yes, no, value)
