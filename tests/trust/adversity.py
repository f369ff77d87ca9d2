"""Full disks, disks that can only be read, cut connections, and several commands at once.

``scripts/crash`` runs it after its kills; a bounded part of it is among the tests.  Disks are small
tmpfs mounts, which take root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ..makers.index import Fault
from .crashing import BIG, BUILD, SCENARIOS, BrokenPromiseError, check, check_store, left_behind

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .crashing import Scenario, World

_WHEEL = "big-1.0-py3-none-any.whl"
DISK = 3


def can_mount(folder: Path) -> bool:
    """Tell whether small disks can be had here."""
    if os.geteuid() != 0:
        return False
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", folder], check=True)
    folder.rmdir()
    return done.returncode == 0


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Put what is in ``folder`` on a disk of its own, with ``size`` bytes free, for a while."""
    kept = folder.with_name(f"{folder.name}-kept")
    folder.mkdir(parents=True, exist_ok=True)
    folder.rename(kept)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", folder], check=True)
    try:
        shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
        disk = os.statvfs(folder)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        _remount(folder, f"size={max(4096, used + size)}")  # 0 is no limit
        yield folder
        shutil.rmtree(kept)
        shutil.copytree(folder, kept, symlinks=True)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()
        kept.rename(folder)


def _remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def full_disk(world: World, scenario: Scenario, place: str, size: int) -> str:
    """Run a command while a part of the machine has so many bytes left, and once more with room.

    place: "cache" or "project".  Returns "failed" where there was too little room.
    """
    scenario.set_up(world)
    with small_disk(world.machine.root / place, size) as folder:
        words = scenario.words(world)
        done = world.machine.run(*words)
        _fails_well(words, done, {DISK, 0}, "disk refused")
        check(world, scenario)
        _remount(folder, "size=256m")
        world.done(*words)
        _is_new(world, scenario)
    return "failed" if done.returncode else "went through"


def read_only(world: World, scenario: Scenario) -> str:
    """Run a command whose cache can only be read; with all in it, and with nothing of it."""
    scenario.set_up(world)
    with small_disk(world.machine.cache, 0) as folder:
        _remount(folder, "size=256m,ro")
        words = scenario.words(world)
        done = world.machine.run(*words)
        _fails_well(words, done, {DISK, 0}, "can only be read", "Read-only file system")
        check(world, scenario)
        _remount(folder, "rw")
        world.done(*words)
        _is_new(world, scenario)
    return "failed" if done.returncode else "went through"


def cut(world: World, scenario: Scenario, dice: random.Random) -> str:
    """Break each connection that brings the large wheel, until the command gives up."""
    scenario.set_up(world)
    fault = Fault(cut=dice.randrange(1, BIG // 10), times=10_000)
    world.index.faults[_WHEEL] = fault
    words = scenario.words(world)
    done = world.machine.run(*words)
    world.index.faults.clear()
    _fails_well(words, done, {DISK, 0}, "could not be fetched")
    check(world, scenario)
    parts = [path.stat().st_size for path in world.machine.cache.glob("partial/*.part")]
    world.index.asked.clear()
    world.done(*words)
    _is_new(world, scenario)
    sent = sum(asked.sent for asked in world.index.requests(_WHEEL))
    size = next(world.index.folder.glob(f"files/{_WHEEL}")).stat().st_size
    if parts and sent > size - max(parts):
        raise BrokenPromiseError(f"{sent} bytes came although {max(parts)} of {size} were there")
    return "failed" if done.returncode else "went through"


def at_once(world: World, count: int, dice: random.Random) -> str:
    """Run so many builds over one empty cache, half of them of one image; kill one of them."""
    scenario = next(one for one in SCENARIOS if one.name == "fetch and build")
    scenario.set_up(world)
    world.index.asked.clear()
    running = [
        subprocess.Popen(
            world.machine.command(*BUILD, *(("-o", f"out{number}") if number % 2 else ())),
            cwd=world.project,
            env=world.machine.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for number in range(count)
    ]
    victim = dice.randrange(count)
    time.sleep(dice.uniform(0.5, 2.0))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running[victim].pid, signal.SIGKILL)
    for number, process in enumerate(running):
        out, said = process.communicate(timeout=300)
        if number == victim:
            continue
        if process.returncode or out.strip() != world.results["new"]:
            raise BrokenPromiseError(f"one of {count} builds at once: {said[-2000:]}")
    world.done(*BUILD)
    _is_new(world, scenario)
    whole = [asked for asked in world.index.requests(_WHEEL) if asked.status == 200]
    if len(whole) > 2:  # the second one where the victim was killed before its first byte
        raise BrokenPromiseError(f"the wheel was fetched {len(whole)} times")
    return "killed" if running[victim].returncode == -signal.SIGKILL else "went through"


def _fails_well(
    words: Sequence[str],
    done: subprocess.CompletedProcess[str],
    codes: set[int],
    *said: str,
) -> None:
    if done.returncode not in codes or "Traceback" in done.stderr:
        raise BrokenPromiseError(f"{' '.join(words)}: {done.returncode} {done.stderr[-2000:]}")
    if done.returncode and not any(text in done.stderr for text in said):
        raise BrokenPromiseError(f"{' '.join(words)} does not say why: {done.stderr[-2000:]}")


def _is_new(world: World, scenario: Scenario) -> None:
    state = check(world, scenario)
    left = left_behind(world)
    if state != "new" or left:
        raise BrokenPromiseError(f"the next run came to the {state} state and left {left}")
    check_store(world.machine.cache)


def trials(world: World, dice: random.Random, rounds: int) -> dict[str, dict[str, int]]:
    """Run all of it ``rounds`` times; returns how often what came of each."""
    told: dict[str, dict[str, int]] = {}

    def note(name: str, result: str) -> None:
        counts = told.setdefault(name, {})
        counts[result] = counts.get(result, 0) + 1

    commands = [one for one in SCENARIOS if one.name != "push"]
    mounts = can_mount(world.machine.root / "try")
    for number in range(rounds):
        for scenario in commands if mounts else ():
            for place in ("cache", "project"):
                size = dice.choice([0, 4096, 65536, BIG // 3, BIG, 2 * BIG])
                note(f"full disk ({place})", full_disk(world, scenario, place, size))
            note("read-only cache", read_only(world, scenario))
            warm = replace(scenario, cache="new")
            note("read-only cache, all in it", read_only(world, warm))
        note("cut connections", cut(world, SCENARIOS[2], dice))
        note("at once", at_once(world, 2 + (number + 3) % 7, dice))
    return told
