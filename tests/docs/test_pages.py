"""README and docs: links lead somewhere, commands are envlock's, and what can be run is run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from envlock.cli import commands  # noqa: F401
from envlock.cli.app import app
from envlock.cli.context import Context
from envlock.cli.output import Output

from ..makers.fixtures import index, machine, mirror
from ..makers.machine import Machine
from .pages import PAGES, ROOT, Block, blocks
from .running import matches, run_page
from .worlds import WORLDS

if TYPE_CHECKING:
    from ..makers.index import Index

__all__ = ["index", "machine", "mirror"]

COMMANDS = get_command(app)
EVERY = [block for page in PAGES for block in blocks(page)]
WITH_COMMANDS = [block for block in EVERY if block.steps]
LARGE = os.environ.get("ENVLOCK_TEST_LARGE") == "1"
REAL = sorted({b.page for b in EVERY if b.mark == "network" or (LARGE and b.mark == "large")})
AS_ME = ["-c", "user.name=me", "-c", "user.email=me@example.com", "commit", "-q", "--allow-empty"]
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("block", WITH_COMMANDS, ids=str)
def test_a_command_that_is_shown_can_be_typed(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options and arguments are the command's own; nothing is run."""
    monkeypatch.chdir(tmp_path)
    for step in block.steps:
        for words in _commands(step.line):
            if words[:1] == ["envlock"] and len(words) > 1 and not words[1].startswith("-"):
                _parse(words[1:])


def _commands(line: str) -> list[list[str]]:
    """Return the words of each command of a line, and what its output goes to as one of its own."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|;&>"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def _parse(words: list[str]) -> None:
    name, *rest = words
    command = COMMANDS.commands[name]  # type: ignore[attr-defined]
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    for word in rest:
        if Path(word).suffix and "://" not in word and not Path(word).is_absolute():
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()  # some options want files that are there
    context = command.make_context(name, rest, obj=Context(output=Output()))
    assert context.params


@pytest.mark.parametrize("page", sorted(WORLDS))
def test_a_page_is_true_in_its_world(page: str, machine: Machine, index: Index) -> None:
    """Commands are run with made-up packages; what they print is what the page shows."""
    for name, version, requires in WORLDS[page]:
        index.wheel(name, version, list(requires))
    _bring_environments(machine)
    assert run_page(blocks(ROOT / page), machine, network=False, large=False)


@pytest.mark.network
@pytest.mark.parametrize("page", [page for page in REAL if page not in WORLDS])
def test_a_page_is_true(page: str, tmp_path: Path) -> None:
    """The same with the real index; ENVLOCK_TEST_LARGE=1 for what fetches gigabytes, too."""
    ours = Machine(tmp_path)
    ours.environ |= {k: v for k, v in os.environ.items() if k.startswith("ENVLOCK_")}
    del ours.environ["ENVLOCK_INDEX_PYPI"]
    _bring_environments(ours)
    assert run_page(blocks(ROOT / page), ours, network=True, large=LARGE)


@pytest.mark.parametrize("block", WITH_COMMANDS, ids=str)
def test_no_commands_are_shown_that_nobody_runs(block: Block) -> None:
    told = block.mark in ("network", "large") or re.match(r"not run: \w.{9}", block.mark)
    assert told or block.page in WORLDS, (
        f"{block}: add the page to tests/docs/worlds.py if made-up packages will do, or put "
        "<!-- network -->, <!-- large --> or <!-- not run: REASON --> right above the block"
    )


def _bring_environments(machine: Machine) -> None:
    """Put the project's own environments there, checked in twice."""
    for folder in ("envs", "locks"):
        shutil.copytree(ROOT / folder, machine.project / folder, dirs_exist_ok=True)
    for command in (["init", "-q"], ["add", "-A"], [*AS_ME, "-m", "1"], [*AS_ME, "-m", "2"]):
        subprocess.run(["git", *command], cwd=machine.project, check=True)


def test_what_is_shown_is_compared() -> None:
    told = "one 1.5 s\ntwo\nthree\nfour\n"
    assert matches("one 2 s\n...\nfour\n", told)
    assert matches("one 1.5 s\ntwo\nthree\n...\nfour\n", told)
    assert not matches("one 2 s\n...\nfive\n", told)
    assert not matches("two\nthree\nfour\n", told)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Of files and headings here; Sphinx looks at those within docs/ as well."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in _anchors(target), f"{link}: there is no such heading"


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_house_has_a_line_for_each_room() -> None:
    """And in the order of the import rules: what stands above may import what stands below."""
    plan = (ROOT / "docs/explanation/house.md").read_text("utf-8").split("```")[1]
    tree, _, last = plan.partition("└──")
    above, below = re.findall(r"── (\w+)(?:/|\.py) ", tree), re.findall(r"(\w+)\.py", last)
    there = [path for path in (ROOT / "src/envlock").iterdir() if path.suffix in {"", ".py"}]
    assert {*above, *below} == {path.stem for path in there if not path.name.startswith("_")}
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    layers = tomllib.loads(text)["tool"]["importlinter"]["contracts"][0]["layers"]
    ranks = {
        room.strip().removeprefix("envlock."): rank
        for rank, layer in enumerate(layers)
        for room in layer.split("|")
    }
    found = [ranks[room] for room in above]
    assert found == sorted(found)
    assert max(found) < min(ranks[room] for room in below)
