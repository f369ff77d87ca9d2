"""How the command line ends where nobody reads it, or nothing can be written."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..makers.machine import Machine

_FULL = Path("/dev/full")


def _run(machine: Machine, *arguments: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        machine.command(*arguments),
        cwd=machine.project,
        env=machine.environ,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
        **streams,
    )


@pytest.mark.parametrize("arguments", [["schema"], ["--help"]])
def test_nobody_reads_the_results(machine: Machine, arguments: list[str]) -> None:
    """As git and others: the exit code of SIGPIPE, and no word."""
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        assert reader.wait() == 0
        done = _run(machine, *arguments, stdout=reader.stdin)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("arguments", [["schema"], ["--version"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_results_cannot_be_written(
    machine: Machine, arguments: list[str], unbuffered: str
) -> None:
    machine.environ["PYTHONUNBUFFERED"] = unbuffered
    with _FULL.open("w") as full:
        done = _run(machine, *arguments, stdout=full)
    assert done.returncode == 3
    assert done.stderr == (
        "error: what there is to print cannot be written: No space left on device\n"
    )


def test_started_without_stdout(machine: Machine) -> None:
    machine.write_spec("one")
    shell = ["sh", "-c", '"$@" >&-', "sh", *machine.command("list")]
    done = subprocess.run(
        shell, cwd=machine.project, env=machine.environ, stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_wrong_usage_for_machines(machine: Machine) -> None:
    done = machine.run("install", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit_code"]) == ("UsageError", 2)
    assert error["message"].startswith("Missing")
    assert error["hint"] == "envlock install --help tells more"
    assert "Usage: envlock install" in done.stderr


def test_what_the_system_refuses(machine: Machine) -> None:
    """Where no command has words of its own for it."""
    source = (
        "from envlock.cli.context import Context\n"
        "from envlock.cli.ending import run\n"
        "from envlock.cli.output import Output\n"
        "run(lambda: open('/nowhere/x'), Context(output=Output(json=True)))\n"
    )
    python = machine.command()[0]
    done = subprocess.run(
        [python, "-c", source], env=machine.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "DiskError"
    assert error["message"] == "the system refused: No such file or directory"
    assert error["where"] == "/nowhere/x"
    assert done.stderr.startswith("error: /nowhere/x: the system refused")
