"""Kills commands at random moments, and checks that nothing is lost and nothing is in the way.

``scripts/crash`` runs it.  Half of the kills come after a random time, half just before a random
change of the file system (``dying/sitecustomize.py``); each is SIGKILL to the command and all that
it has started.  Then the same command runs again, and must succeed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..makers.index import Fault, Index
from ..makers.registry import Registry
from .adversity import trials
from .crashing import (
    BIG,
    SCENARIOS,
    BrokenPromiseError,
    Scenario,
    World,
    check,
    left_behind,
    make_world,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DYING = Path(__file__).with_name("dying")
_SLOW = 0.01
"""Seconds between the pieces of a wheel, where a download is to be killed in the middle."""


@dataclass(slots=True)
class Tally:
    """What came of a scenario's rounds.

    killed: the command was still running; seen: the states that were found after kills; kept:
    bytes of unfinished downloads that the next run went on from; again: bytes that it fetched
    although they were there; problems: promises that did not hold.
    """

    killed: int = 0
    rounds: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    again: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds, print a table, and return 0 where every promise held."""
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--kills", type=int, default=200, help="in all [default: 200]")
    parser.add_argument(
        "--rounds", type=int, default=2, help="of full disks and the like [default: 2]"
    )
    parser.add_argument("--only", action="append", choices=names, metavar="COMMAND")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    chosen = [one for one in SCENARIOS if one.name in (asked.only or names)]
    with (
        tempfile.TemporaryDirectory(prefix="envlock-crash-") as folder,
        machine(Path(folder)) as world,
    ):
        told = crash(world, chosen, asked.kills, asked.seed)
        other = trials(world, random.Random(asked.seed), asked.rounds)
    if asked.json:
        plain = {name: _plain(tally) for name, tally in told.items()}
        print(json.dumps({"kills": plain, "trials": other}, indent=2))
    else:
        print("\n".join(table(told)))
        for name, counts in other.items():
            print(f"{name}: {', '.join(f'{n} {what}' for what, n in counts.items())}")
    return 1 if any(tally.problems for tally in told.values()) else 0


@contextmanager
def machine(folder: Path, scenarios: Sequence[Scenario] = SCENARIOS) -> Iterator[World]:
    """Give a machine whose commands can be killed."""
    with Index(folder / "index") as index, Registry() as registry:
        yield make_world(folder, index, registry, scenarios)


def crash(world: World, scenarios: Sequence[Scenario], kills: int, seed: int) -> dict[str, Tally]:
    """Kill ``scenarios`` in turn until so many kills were survived; returns what came of them."""
    dice = random.Random(seed)
    tallies = {scenario.name: Tally() for scenario in scenarios}
    changes = {one.name: _changes(world, one, tallies[one.name]) for one in scenarios}
    while sum(tally.killed for tally in tallies.values()) < kills:
        for scenario in scenarios:
            at = dice.randint(1, changes[scenario.name]) if dice.random() < 0.5 else 0
            tally = tallies[scenario.name]
            try:
                _round(world, scenario, tally, dice, at)
            except BrokenPromiseError as error:
                tally.problems.append(f"before change {at}: {error}" if at else str(error))
    return tallies


def _changes(world: World, scenario: Scenario, tally: Tally) -> int:
    """Return how many changes the command makes undisturbed, and note how long it takes."""
    scenario.set_up(world)
    count = world.machine.root / "count"
    started = time.monotonic()
    process = _start(world, scenario, CRASH_COUNT=str(count), CRASH_MAIN=str(os.getpid()))
    _, said = process.communicate(timeout=120)
    tally.seconds = time.monotonic() - started
    if process.returncode or check(world, scenario) != "new":
        raise BrokenPromiseError(f"{scenario.name} does not even work undisturbed: {said}")
    return int(count.read_text())


def _start(world: World, scenario: Scenario, **variables: str) -> subprocess.Popen[str]:
    environ = world.machine.environ
    path = f"{DYING}{os.pathsep}{environ['PYTHONPATH']}"
    return subprocess.Popen(
        world.machine.command(*scenario.words(world)),
        cwd=world.project,
        env={**environ, **variables, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _round(world: World, scenario: Scenario, tally: Tally, dice: random.Random, at: int) -> None:
    scenario.set_up(world)
    tally.rounds += 1
    mark = f"CRASH_{uuid.uuid4().hex}"
    if not scenario.cache:
        world.index.faults["big-1.0-py3-none-any.whl"] = Fault(pace=_SLOW)
    process = _start(world, scenario, **{mark: "1"}, **({"CRASH_AT": str(at)} if at else {}))
    with process:
        try:
            wait = 60 if at else dice.uniform(0.15, 1.1) * tally.seconds
            process.wait(wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    world.index.faults.clear()
    _all_gone(mark)
    if process.returncode == -signal.SIGKILL:
        tally.killed += 1
        state = check(world, scenario)
        tally.seen[state] = tally.seen.get(state, 0) + 1
    _again(world, scenario, tally)


def _again(world: World, scenario: Scenario, tally: Tally) -> None:
    """Run the command once more, undisturbed and without any cleaning before."""
    parts = [path.stat().st_size for path in world.machine.cache.glob("partial/*.part")]
    big = [size for size in parts if size > BIG // 100]
    there = sum(big)
    whole = any(path.stat().st_size > BIG for path in world.machine.cache.glob("artifacts/*/*"))
    world.index.asked.clear()
    world.done(*scenario.words(world))
    sent = sum(asked.sent for asked in world.index.requests("big-1.0-py3-none-any.whl"))
    if whole or there:
        size = BIG if whole else _size(world) - there
        tally.kept += 0 if whole else there
        tally.again += max(0, sent - (0 if whole else size))
    if (state := check(world, scenario)) != "new":
        raise BrokenPromiseError(f"the next run came to the {state} state")
    if left := left_behind(world):
        raise BrokenPromiseError(f"left behind: {', '.join(left)}")


def _size(world: World) -> int:
    return next(world.index.folder.glob("files/big-*.whl")).stat().st_size


def _all_gone(mark: str) -> None:
    """Wait until nothing that a killed command started runs; what stays is a broken promise."""
    deadline = time.monotonic() + 10
    while left := _marked(mark):
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise BrokenPromiseError(f"{len(left)} processes still run")
        time.sleep(0.02)


def _marked(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


def table(told: dict[str, Tally]) -> list[str]:
    """Return the results as lines; the last one is the sum."""
    lines = [f"{'command':16} kills  old  new  resumed B  again B  broken"]
    for name, tally in told.items():
        old, new = (tally.seen.get(state, 0) for state in ("old", "new"))
        lines.append(
            f"{name:16} {tally.killed:5} {old:4} {new:4} {tally.kept:10} {tally.again:8} "
            f"{len(tally.problems):7}"
        )
        lines += [f"  {problem}" for problem in tally.problems]
    kills = sum(tally.killed for tally in told.values())
    broken = sum(len(tally.problems) for tally in told.values())
    return [*lines, f"{kills} kills, {broken} promises broken"]


def _plain(tally: Tally) -> dict[str, object]:
    return {name: getattr(tally, name) for name in Tally.__slots__}


if __name__ == "__main__":
    sys.exit(main())
