"""The command line as people and scripts meet it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.machine import Machine

COMMANDS = ["build", "run", "schema", "solve", "validate"]
ESCAPE = "\x1b"


def test_help(machine: Machine) -> None:
    done = machine.run("--help")
    assert done.returncode == 0
    assert ESCAPE not in done.stdout
    for command in COMMANDS:
        assert command in done.stdout
    assert machine.run("-h").stdout == done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(machine: Machine, command: str, tmp_path: Path) -> None:
    """Outside of a project, too."""
    done = machine.run(command, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"envlock {command}" in done.stdout
    assert ESCAPE not in done.stdout


def test_version(machine: Machine, tmp_path: Path) -> None:
    from envlock import __version__
    from envlock.lock.model import FORMAT, PACKER

    done = machine.run("--version", cwd=tmp_path)
    told = f"envlock {__version__} (lock format {FORMAT}, packer {PACKER})\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


def test_schema(machine: Machine, tmp_path: Path) -> None:
    done = machine.run("schema", cwd=tmp_path)
    assert json.loads(done.stdout)["title"] == "envlock environment"


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["solve", "--frobnicate"],
        ["run"],
        ["validate"],
    ],
)
def test_wrong_usage(machine: Machine, arguments: list[str]) -> None:
    done = machine.run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: envlock" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--project"], ["build", "--platform"]])
def test_an_option_without_its_value(machine: Machine, arguments: list[str]) -> None:
    done = machine.run(*arguments)
    assert done.returncode == 2
    assert "requires an argument" in done.stderr


def test_unknown_environment(machine: Machine) -> None:
    machine.write_spec("training")
    for command in ("solve", "build", "validate", "run"):
        done = machine.run(command, "trainig")
        assert done.returncode == 2, done.stderr
        assert "there is no environment 'trainig'" in done.stderr
        assert "hint: did you mean training?" in done.stderr


def test_no_project(machine: Machine, tmp_path: Path) -> None:
    done = machine.run("solve", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no envs/ folder" in done.stderr
    done = machine.run("--project", str(machine.project), "solve", "--check", cwd=tmp_path)
    assert "there is no spec in envs/" in done.stderr
    assert done.returncode == 2
    assert machine.run("--project", "/nonexistent", "solve").returncode == 2
    assert "there is no spec in envs/" in machine.run("build").stderr


def test_broken_configuration(machine: Machine) -> None:
    path = machine.root / "home" / ".config" / "envlock" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("= broken")
    machine.write_spec("one")
    done = machine.run("solve")
    assert done.returncode == 2
    assert "the configuration cannot be read" in done.stderr
    assert str(path) in done.stderr


def test_broken_spec(machine: Machine) -> None:
    machine.write_spec("one", "imgae: {}\n")
    done = machine.run("solve", "--check")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: envs/one.yaml:9:1: unknown key 'imgae'",
        "9 | imgae: {}",
        "  | ^",
        "hint: did you mean 'image'?",
    ]


def test_an_error_for_machines(machine: Machine) -> None:
    machine.write_spec("one", "imgae: {}\n")
    for arguments in (["--json", "solve"], ["solve", "--json"]):
        done = machine.run(*arguments)
        assert done.returncode == 2
        assert json.loads(done.stdout) == {
            "error": {
                "kind": "SpecError",
                "message": "unknown key 'imgae'",
                "where": "envs/one.yaml:9:1",
                "details": ["9 | imgae: {}", "  | ^"],
                "hint": "did you mean 'image'?",
                "exit_code": 2,
            }
        }


def test_results_for_machines(machine: Machine) -> None:
    machine.write_spec("one")
    first = machine.run("solve", "--json")
    assert first.returncode == 0, first.stderr
    again = machine.run("solve", "--json")
    assert json.loads(first.stdout)["environments"][0].pop("changed") is True
    assert json.loads(again.stdout)["environments"][0].pop("changed") is False
    check = machine.run("solve", "--check", "--json")
    assert json.loads(check.stdout) == {
        "environments": [{"fresh": True, "name": "one", "platform": "linux-64"}],
        "failed": [],
    }
    built = machine.run("build", "--json", "--no-validate")
    assert built.returncode == 0, built.stderr
    (image,) = json.loads(built.stdout)["images"]
    assert image["manifest"].startswith("sha256:")
    assert image["output"] == "build/one"


def test_quiet(machine: Machine) -> None:
    machine.write_spec("one")
    for arguments in (["-q", "solve"], ["solve", "-q"], ["solve", "--check", "-q"]):
        done = machine.run(*arguments)
        assert (done.returncode, done.stdout) == (0, "")
        # what is wrong is said all the same: the machine has no mirror of debian-security
        assert all(line.startswith("warning: ") for line in done.stderr.splitlines())
    machine.write_spec("one", "imgae: {}\n")
    assert "error: " in machine.run("-q", "solve").stderr


NASTY = r'"\e[31mred\e]0;title\a \u202ebackwards"'


def _on_a_terminal(machine: Machine, *arguments: str, **environ: str) -> str:
    """Run with a terminal as stderr and return what it was sent."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        machine.command(*arguments),
        cwd=machine.project,
        env={**machine.environ, "TERM": "xterm", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ):
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    return b"".join(parts).decode()


def test_colours_on_a_terminal_only(machine: Machine) -> None:
    assert f"{ESCAPE}[31;1merror{ESCAPE}[0m: " in _on_a_terminal(machine, "solve", "x")
    assert ESCAPE not in _on_a_terminal(machine, "solve", "x", NO_COLOR="1")
    assert ESCAPE not in machine.run("solve", "x").stderr


@pytest.mark.parametrize("spec", [False, True])
def test_nothing_in_a_spec_steers_the_terminal(machine: Machine, spec: bool) -> None:
    """A line of a spec, and the name of an environment on the command line."""
    if spec:
        machine.write_spec("one", "checks: [{import: '\u202e[31m'}]\n")
        arguments = ["solve", "one"]
    else:
        arguments = ["solve", f"{ESCAPE}[31mx{ESCAPE}[0m\u202e"]
    piped = machine.run(*arguments)
    assert piped.returncode == 2
    assert ESCAPE not in piped.stderr
    assert "\u202e" not in piped.stderr
    shown = _on_a_terminal(machine, *arguments, NO_COLOR="1")
    assert ESCAPE not in shown
    assert "\u202e" not in shown


def test_escapes_in_a_spec_are_refused(machine: Machine) -> None:
    machine.write_spec("one", f"description: {NASTY}\n")
    done = machine.run("solve")
    assert done.returncode == 2
    assert "a control character" in done.stderr
    assert ESCAPE not in done.stderr


def test_completion(machine: Machine) -> None:
    machine.write_spec("training")
    machine.write_spec("serving")
    done = machine.run(
        _ENVLOCK_COMPLETE="complete_bash", COMP_WORDS="envlock solve tr", COMP_CWORD="2"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["training"]
    source = machine.run(
        "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert source.returncode == 0
    assert "_ENVLOCK_COMPLETE=complete_bash" in source.stdout


def test_completion_outside_of_a_project(machine: Machine, tmp_path: Path) -> None:
    done = machine.run(
        cwd=tmp_path,
        _ENVLOCK_COMPLETE="complete_bash",
        COMP_WORDS="envlock solve ",
        COMP_CWORD="2",
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_a_closed_pipe_is_no_accident(machine: Machine) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" | true', "sh", *machine.command("schema")],
        cwd=machine.project,
        env=machine.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_several_environments_and_one_place(machine: Machine) -> None:
    machine.write_spec("one")
    machine.write_spec("two")
    done = machine.run("build", "-o", "x")
    assert done.returncode == 2
    assert "-o names one place" in done.stderr


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.zip", "x.TAR", "x.tar.zst"])
def test_images_are_a_folder_or_a_tar(machine: Machine, name: str) -> None:
    machine.write_spec("one")
    done = machine.run("build", "one", "-o", name)
    assert done.returncode == 2
    assert "images are written as a folder or as FILE.tar" in done.stderr
    assert not (machine.project / name).exists()


def test_a_project_that_is_not_there(machine: Machine) -> None:
    machine.write_spec("one")
    done = machine.run("--project", str(machine.project / "typo"), "solve", "--check")
    assert done.returncode == 2
    assert "there is no such folder" in done.stderr


def test_which_of_several_platforms_is_built(machine: Machine) -> None:
    from dataclasses import replace

    from envlock.lock.codec import dump_lock
    from envlock.lock.model import Lock
    from envlock.validate.layout import open_layout

    spec = {"name": "one", "python": "3.11", "platform": {"glibc": "2.36"}}
    lock = Lock(name="one", platform="linux-64", spec=spec, artifacts=())
    (machine.project / "locks").mkdir()
    for platform in ("linux-64", "linux-aarch64"):
        machine.lock("one").with_name(f"one.{platform}.lock.json").write_text(
            dump_lock(replace(lock, platform=platform))
        )
    said = "one is locked for linux-64 and linux-aarch64; this takes linux-64, --platform chooses"
    done = machine.run("build", "one", "--no-validate")
    assert done.returncode == 0, done.stderr
    assert said in done.stderr
    done = machine.run("build", "one", "--no-validate", "--platform", "linux-aarch64")
    assert done.returncode == 0, done.stderr
    assert said not in done.stderr
    assert "one linux-aarch64" in done.stderr
    assert "envlock run build/one.linux-aarch64 -- COMMAND" in done.stderr
    layouts = [machine.project / "build" / name for name in ("one", "one.linux-aarch64")]
    assert [open_layout(layout).config.architecture for layout in layouts] == ["amd64", "arm64"]
    machine.project.joinpath("build/one.linux-aarch64/index.json").unlink()
    done = machine.run("validate", "one", "--platform", "linux-aarch64")
    assert done.returncode == 2
    assert "there is no build/one.linux-aarch64" in done.stderr
    assert "envlock build one --platform linux-aarch64" in done.stderr


def test_a_name_that_is_another_ones_image(machine: Machine) -> None:
    machine.write_spec("one.linux-64")
    done = machine.run("solve", "one.linux-64")
    assert done.returncode == 2
    assert "envs/one.linux-64.yaml: 'one.linux-64' is no name of an environment" in done.stderr
