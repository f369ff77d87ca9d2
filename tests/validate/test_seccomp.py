"""The filter, run by a small interpreter of what it uses of classic BPF."""

from __future__ import annotations

import struct

import pytest

from envlock.validate.seccomp import call_filter

X86_64, I386, AARCH64, ARM, RISCV = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028, 0xC00000F3
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026


def verdict(architecture: int, number: int, request: int = 0, flags: int = 0) -> int:
    data = struct.pack("<IIQ6Q", number, architecture, 0, flags, request, 0, 0, 0, 0)
    program = list(struct.iter_unpack("<HBBI", call_filter()))
    at = value = 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code in {0x15, 0x35}:
            at += yes if (value == operand if code == 0x15 else value >= operand) else no
        elif code == 0x45:
            at += yes if value & operand else no
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


@pytest.mark.parametrize(
    ("architecture", "keyctl", "clone", "unshare"),
    [(X86_64, 250, 56, 272), (I386, 288, 120, 310), (AARCH64, 219, 220, 97), (ARM, 311, 120, 337)],
)
def test_keys_and_user_namespaces(architecture: int, keyctl: int, clone: int, unshare: int) -> None:
    for number in (keyctl - 2, keyctl - 1, keyctl, 425):
        assert verdict(architecture, number) == EPERM
    assert verdict(architecture, 435) == ENOSYS
    for number in (clone, unshare):
        assert verdict(architecture, number, flags=0x3D0F00) == ALLOW  # a thread
        assert verdict(architecture, number, flags=0x10000000) == EPERM
        assert verdict(architecture, number, flags=0x7C020011) == EPERM
        assert verdict(architecture, number, flags=0x10000000 << 32) == ALLOW  # nobody reads it


@pytest.mark.parametrize(
    ("architecture", "ptrace", "reaching"),
    [(X86_64, 101, 310), (I386, 26, 347), (AARCH64, 117, 270), (ARM, 26, 376)],
)
def test_the_first_process(architecture: int, ptrace: int, reaching: int) -> None:
    assert verdict(architecture, ptrace, 1) == EPERM  # (request, pid)
    assert verdict(architecture, ptrace, 1 | 1 << 32) == EPERM
    assert verdict(architecture, ptrace, 2, 1) == ALLOW
    for number in (reaching, reaching + 1, 434):
        assert verdict(architecture, number, flags=1) == EPERM
        assert verdict(architecture, number, 1, flags=2) == ALLOW
