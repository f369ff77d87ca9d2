"""What --help tells: every command in one line, and examples that can be typed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from envlock.cli import commands  # noqa: F401
from envlock.cli.app import app
from envlock.cli.context import Context
from envlock.cli.examples import COMMANDS
from envlock.cli.output import Output

if TYPE_CHECKING:
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
