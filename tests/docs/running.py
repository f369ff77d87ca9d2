"""Runs the blocks of a page on a machine of its own, and compares what it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..makers.machine import Machine
    from .pages import Block

_TIME = re.compile(r"\b\d+(?:\.\d+)? s\b *")
_EDIT = re.compile(
    r"(?P<verb>insert|replace): (?P<file>\S+) (?:before|from) (?P<first>.+?)(?: to (?P<last>.+))?"
)


def run_page(page: Sequence[Block], machine: Machine, *, network: bool, large: bool) -> int:
    """Do what the blocks say, in order; return how many commands were run.

    network, large: also the commands that need the real index, and gigabytes of it.
    """
    shim = machine.root / "bin" / "envlock"
    shim.parent.mkdir(exist_ok=True)
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m envlock "$@"\n')
    shim.chmod(0o755)
    ran = 0
    for block in page:
        if block.mark.startswith("not run:"):
            continue
        if (block.mark == "network" and not network) or (block.mark == "large" and not large):
            continue
        _write(block, machine)
        for step in block.steps:
            ran += 1
            told = _run(machine, step.line)
            if step.output is not None:
                shown = matches(step.output, told)
                assert shown, f"{block}: {step.line}\nshows\n{step.output}\nand tells\n{told}"
    return ran


def matches(shown: str, told: str) -> bool:
    """Tell whether an output is the one that is shown; times may differ.

    ``...`` in it stands for any text, and in a line of its own for any lines.
    """
    parts = [re.escape(plain(line)).replace(r"\.\.\.", ".*") for line in shown.splitlines()]
    pattern = "".join(r"(?:.*\n)*?" if part == ".*" else part + "\n" for part in parts)
    return (
        re.fullmatch(pattern, "".join(f"{plain(line)}\n" for line in told.splitlines())) is not None
    )


def plain(line: str) -> str:
    """Return a line without times, and without spaces at its end."""
    return _TIME.sub("N s", line.rstrip()).rstrip()


def _write(block: Block, machine: Machine) -> None:
    """Write, or edit, the file that a block's mark names."""
    if block.mark.startswith("file: "):
        path = machine.project / block.mark.removeprefix("file: ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        return
    if block.mark.startswith("shows: "):
        there = (machine.project / block.mark.removeprefix("shows: ")).read_text()
        assert block.text in there, f"{block}: not what the file has:\n{there}"
        return
    edit = _EDIT.fullmatch(block.mark)
    if edit is None:
        assert block.mark in ("", "network", "large"), f"{block}: no such mark: {block.mark}"
        return
    path = machine.project / edit["file"]
    lines = path.read_text().splitlines()
    stripped = [line.strip() for line in lines]
    first = stripped.index(edit["first"])
    last = stripped.index(edit["last"], first) if edit["last"] else first
    path.write_text("\n".join([*lines[:first], *block.text.splitlines(), *lines[last:]]) + "\n")


def _run(machine: Machine, line: str) -> str:
    path = f"{machine.root / 'bin'}{os.pathsep}{machine.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=machine.project,
        env={**machine.environ, "PATH": path, "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
        check=False,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout
