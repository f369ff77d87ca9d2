"""What --help tells: every command in one line, and examples that can be typed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from envlock.cli import commands  # noqa: F401
from envlock.cli.app import app
from envlock.cli.context import Context
from envlock.cli.examples import COMMANDS
from envlock.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..makers.machine import Machine

ROOT = get_command(app)
EXAMPLES = [
    line
    for shown in COMMANDS.values()
    for line in shown.examples
    if not line.startswith("git config ")
]


def test_every_command_is_listed_in_one_line_and_in_order(machine: Machine) -> None:
    told = machine.run("--help", COLUMNS="80").stdout
    lines = told.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    about = dict(line.split(maxsplit=1) for line in lines)
    assert list(about)[: len(COMMANDS)] == list(COMMANDS)
    assert {name: about[name] for name in COMMANDS} == {n: s.about for n, s in COMMANDS.items()}


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_can_be_typed(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options and arguments are the command's; nothing is run."""
    program, name, *rest = shlex.split(line)
    monkeypatch.chdir(tmp_path)
    for word in rest:
        if word.endswith((".whl", ".json")) and "/" not in word:
            Path(word).touch()  # some options want files that are there
    assert program == "envlock"
    one = ROOT.commands[name]  # type: ignore[attr-defined]
    while hasattr(one, "commands"):
        name, *rest = rest
        one = one.commands[name]
    context = one.make_context(name, rest, obj=Context(output=Output()))
    assert context.params


def test_examples_stand_below_the_options_one_a_line(machine: Machine) -> None:
    told = machine.run("build", "--help", COLUMNS="60").stdout
    below = told.partition("Examples:\n")[2]
    assert tuple(line.strip() for line in below.splitlines()) == COMMANDS["build"].examples


def _parameters() -> Iterator[tuple[str, Any]]:
    """Yield every command's name and each of its options and arguments."""
    waiting = [(name, one) for name, one in ROOT.commands.items()]  # type: ignore[attr-defined]
    while waiting:
        name, one = waiting.pop()
        waiting += [(f"{name} {n}", below) for n, below in getattr(one, "commands", {}).items()]
        yield from ((name, parameter) for parameter in one.params)


def test_a_parameter_says_what_it_takes_and_in_a_sentence() -> None:
    shows_choices = {"load", "compression", "form"}
    for name, parameter in _parameters():
        which = f"{name}: {parameter.name}"
        assert parameter.help.endswith((".", "]")), which
        if not getattr(parameter, "is_flag", False) and parameter.name not in shows_choices:
            assert parameter.metavar, which
            assert not parameter.metavar.startswith("["), which  # the library adds brackets


def test_the_same_option_is_the_same_everywhere() -> None:
    for option in ("--offline", "--gpu", "--artifact-map", "--insecure"):
        told = {
            parameter.help
            for name, parameter in _parameters()
            if option in parameter.opts and name not in {"init", "run"}
        }
        assert len(told) == 1, (option, told)


def test_help_loads_no_library_and_no_core() -> None:
    """Each command waits for what is imported before it is known which one it is."""
    script = "import sys; from envlock.cli import commands; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(told.stdout.split())
    assert "envlock.cli.commands.solve" in loaded
    heavy = {"yaml", "jsonschema", "packaging", "requests", "rattler", "solv", "jinja2", "rich"}
    core = {"envlock.lock.model", "envlock.spec.model", "envlock.layers", "envlock.validate"}
    assert not loaded & (heavy | core)
