"""The filter, run by a small interpreter of what it uses of classic BPF."""

from __future__ import annotations

import struct

import pytest

from envlock.validate.seccomp import terminal_filter

X86_64, I386, AARCH64, ARM, RISCV = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028, 0xC00000F3
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026


def verdict(architecture: int, number: int, request: int = 0) -> int:
    data = struct.pack("<IIQ6Q", number, architecture, 0, 0, request, 0, 0, 0, 0)
    program = list(struct.iter_unpack("<HBBI", terminal_filter()))
    at = value = 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code in {0x15, 0x35}:
            at += yes if (value == operand if code == 0x15 else value >= operand) else no
        else:
            assert code == 0x06
            return int(operand)


@pytest.mark.parametrize(
    ("architecture", "ioctl"), [(X86_64, 16), (X86_64, 514), (I386, 54), (AARCH64, 29), (ARM, 54)]
)
def test_two_requests_are_refused(architecture: int, ioctl: int) -> None:
    for request in (0x5412, 0x541C):
        assert verdict(architecture, ioctl, request) == EPERM
        assert verdict(architecture, ioctl, request | 0xABCD << 32) == EPERM
        assert verdict(architecture, ioctl + 1, request) == ALLOW
    for request in (0x5401, 0x5411, 0x5413, 0x541B, 0, 0x5412 << 32, 0x15412):
        assert verdict(architecture, ioctl, request) == ALLOW
    for number in (0, 1, 59, 231, 400):
        assert verdict(architecture, number) == ALLOW


def test_other_ways_to_call_the_kernel() -> None:
    for number in (0, 16, 514):
        assert verdict(X86_64, number | 0x40000000, 0x5412) == ENOSYS
    assert verdict(RISCV, 0) == EPERM
