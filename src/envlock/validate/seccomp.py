"""The system call filter of every sandbox: what reaches out of it whatever the namespaces say.

* Typing into the caller's terminal: TIOCSTI puts input into a terminal as if a person had typed
  it there, and TIOCLINUX can paste into a virtual console.
* The kernel's keys (keyrings(7)): the session's keyring is the caller's, in no namespace.
* New user namespaces, in which a program would have all capabilities again, and with them much
  more of the kernel to find faults in; bpf, perf, userfaultfd and io_uring for the same reason.

* The sandbox's own first process, which has no filter: tracing it, or reaching its memory and
  files.

All fail with EPERM.  clone3(2), whose flags lie in memory where no filter sees them, is not there
(ENOSYS), so that C libraries use clone(2).  The filter is classic BPF over ``struct
seccomp_data`` (Linux, Documentation/userspace-api/seccomp_filter.rst).  It knows both 64-bit
machines and the 32-bit programs that each of them also runs.  Standard library only.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

MACHINES = frozenset({"x86_64", "i686", "aarch64", "armv8l"})
"""What ``os.uname().machine`` says where :func:`call_filter` knows every system call."""

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_CLONE_NEWUSER = 0x10000000
_FIRST = 1
"""The process that the sandbox itself runs on the inside."""
_X86_64 = 0xC000003E
_X32_BIT = 0x40000000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calls:
    """Numbers of system calls (asm/unistd.h).

    refused: add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, io_uring_setup;
    spawning: clone and unshare, whose first argument has the flags; tracing: ptrace, whose second
    argument is a process; reaching: process_vm_readv, process_vm_writev, pidfd_open, whose first
    one is; missing: clone3.
    """

    ioctl: tuple[int, ...]
    refused: tuple[int, ...]
    spawning: tuple[int, ...]
    tracing: tuple[int, ...]
    reaching: tuple[int, ...]
    missing: int = 435


_CALLS = {
    # AUDIT_ARCH_X86_64; 514: x32's ioctl, which old kernels took without its bit
    _X86_64: _Calls(
        ioctl=(16, 514),
        refused=(248, 249, 250, 321, 298, 323, 425),
        spawning=(56, 272),
        tracing=(101, 521),
        reaching=(310, 311, 434),
    ),
    # AUDIT_ARCH_I386
    0x40000003: _Calls(
        ioctl=(54,),
        refused=(286, 287, 288, 357, 336, 374, 425),
        spawning=(120, 310),
        tracing=(26,),
        reaching=(347, 348, 434),
    ),
    # AUDIT_ARCH_AARCH64
    0xC00000B7: _Calls(
        ioctl=(29,),
        refused=(217, 218, 219, 280, 241, 282, 425),
        spawning=(220, 97),
        tracing=(117,),
        reaching=(270, 271, 434),
    ),
    # AUDIT_ARCH_ARM
    0x40000028: _Calls(
        ioctl=(54,),
        refused=(309, 310, 311, 386, 364, 388, 425),
        spawning=(120, 337),
        tracing=(26,),
        reaching=(376, 377, 434),
    ),
}

# offsets into struct seccomp_data; the low halves of arguments, as all of these are little endian
_NUMBER, _ARCHITECTURE, _ARGUMENT_1, _ARGUMENT_2 = 0, 4, 16, 24
# linux/bpf_common.h, linux/seccomp.h
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def call_filter() -> bytes:
    """Return the filter as ``bwrap --seccomp`` reads it, an array of struct sock_filter.

    The kernel looks at the low 32 bits of requests and flags only, so the filter does too.  The
    x32 ABI has no system call (ENOSYS), and an unknown architecture may do nothing (EPERM).
    """
    program = [_one(_LOAD, _ARCHITECTURE)]
    for architecture, calls in _CALLS.items():
        block = _block(calls, x32=architecture == _X86_64)
        program += _if(_IF_EQUAL, architecture, block)
    program.append(_fail(errno.EPERM))
    return b"".join(program)


def _block(calls: _Calls, *, x32: bool) -> list[bytes]:
    """Return what decides about the calls of one architecture."""
    block = [_one(_LOAD, _NUMBER)]
    if x32:
        block += _if(_IF_AT_LEAST, _X32_BIT, [_fail(errno.ENOSYS)])
    for number in calls.refused:
        block += _if(_IF_EQUAL, number, [_fail(errno.EPERM)])
    block += _if(_IF_EQUAL, calls.missing, [_fail(errno.ENOSYS)])
    for numbers, argument, tests in (
        (calls.spawning, _ARGUMENT_1, [(_IF_ANY_BIT, _CLONE_NEWUSER)]),
        (calls.ioctl, _ARGUMENT_2, [(_IF_EQUAL, _TIOCSTI), (_IF_EQUAL, _TIOCLINUX)]),
        (calls.tracing, _ARGUMENT_2, [(_IF_EQUAL, _FIRST)]),
        (calls.reaching, _ARGUMENT_1, [(_IF_EQUAL, _FIRST)]),
    ):
        refused = [part for test in tests for part in _if(*test, [_fail(errno.EPERM)])]
        what = [_one(_LOAD, argument), *refused, _one(_RETURN, _ALLOW)]
        for number in numbers:
            block += _if(_IF_EQUAL, number, what)
    return [*block, _one(_RETURN, _ALLOW)]


def _if(test: int, value: int, what: list[bytes]) -> list[bytes]:
    """Return instructions that are left out unless the test holds of the loaded value."""
    return [_one(test, value, no=len(what)), *what]


def _fail(number: int) -> bytes:
    return _one(_RETURN, _ERRNO | number)


def _one(code: int, value: int, *, no: int = 0) -> bytes:
    """Return a struct sock_filter; no: how many instructions a failed test leaves out."""
    return struct.pack("<HBBI", code, 0, no, value)
