"""``envlock install`` by the real command line: exit codes, and what it prints."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ..makers.wheels import make_wheel

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the specs here are for Python 3.11"
)
BODY = """\
pypi:
  dependencies: [hello]
"""
OPTIONS = ("--no-validate", "--python", sys.executable)


def test_from_a_spec_to_a_prefix(machine: Machine, index: Index) -> None:
    wheel = make_wheel(
        machine.root, "hello", "1.0",
        files={"hello.py": "def main(): print('hello')\n"},
        entry_points={"console_scripts": {"hello": "hello:main"}},
    )  # fmt: skip
    index.add(wheel)
    machine.write_spec("one", BODY)
    assert machine.run("solve", "one").returncode == 0
    prefix = machine.root / "prefix"
    done = machine.run("install", "one", "--prefix", str(prefix), *OPTIONS, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["prefix"] == str(prefix)
    said = subprocess.run([prefix / "bin" / "hello"], capture_output=True, text=True, check=True)
    assert said.stdout == "hello\n"
    again = machine.run("install", "one", "--prefix", str(prefix), *OPTIONS, "--offline")
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"{prefix}/bin\n"
    other = machine.run("install", "one", "--prefix", str(machine.project), *OPTIONS)
    assert other.returncode == 2
    assert "envlock did not make it" in other.stderr
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    artifact = machine.cache / "artifacts" / sha256[:2] / sha256
    artifact.chmod(0o644)
    artifact.write_bytes(bytes(artifact.stat().st_size))
    tampered = machine.run("install", "one", "--prefix", str(prefix), *OPTIONS, "--offline")
    assert tampered.returncode == 3
    assert "is not the locked file" in tampered.stderr
    assert (prefix / "bin" / "hello").is_file()
