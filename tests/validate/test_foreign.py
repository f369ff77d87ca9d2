"""Whether this machine runs another architecture's programs: the smallest ones, given to it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from envlock.errors import SandboxError
from envlock.platforms import PLATFORMS
from envlock.validate.foreign import is_run, program, require_machine

if TYPE_CHECKING:
    from pathlib import Path

NATIVE = next(one.oci for one in PLATFORMS.values() if one.machine == os.uname().machine)
OTHERS = sorted({one.oci for one in PLATFORMS.values()} - {NATIVE})


def test_the_smallest_program_ends_well(tmp_path: Path) -> None:
    place = tmp_path / "program"
    place.write_bytes(program(NATIVE))
    place.chmod(0o755)
    assert subprocess.run([place], check=False).returncode == 0
    assert is_run(program(NATIVE))
    assert not is_run(program(NATIVE)[:100])


@pytest.mark.parametrize("architecture", OTHERS)
def test_another_machine(architecture: str) -> None:
    if is_run(program(architecture)):
        require_machine(architecture)
        pytest.skip("this machine has an emulator")
    said = f"this image is for linux/{architecture} and this machine is {os.uname().machine}"
    with pytest.raises(SandboxError, match=said) as caught:
        require_machine(architecture)
    assert "--no-validate" in (caught.value.hint or "")


def test_this_machine_and_unknown_ones() -> None:
    for architecture in (NATIVE, "", "riscv64"):
        require_machine(architecture)


def test_every_platform_has_a_program() -> None:
    for platform in PLATFORMS.values():
        assert program(platform.oci).startswith(b"\x7fELF")
