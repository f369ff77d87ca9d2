"""The reproducibility matrix: one image, built in every way that must not matter.

``scripts/reproduce`` runs it.  The environments are ``made-up`` (wheels, .debs and conda
packages made in code: no network) and those of ``locks/`` that are named.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.config import load_config
from envlock.fetch.store import Store
from envlock.lock.codec import load_lock

from ..image.making import Environment, driver_command, driver_environment, make_debs, write_job
from ..layers_conda.building import zoo
from .cells import NOBODY, Cell, cells, find_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
MADE_UP = "made-up"
PATIENCE = 1800
"""Seconds that one build may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A cell and what came of it: its builds' manifest digests, or an error; seconds in all."""

    cell: Cell
    digests: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix, print its table, and return 0 where every cell gave one digest."""
    parser = argparse.ArgumentParser(prog="scripts/reproduce", description=__doc__)
    parser.add_argument("environments", nargs="*", metavar="NAME", help=f"[default: {MADE_UP}]")
    parser.add_argument("--axis", action="append", help="only these rows, by their first words")
    parser.add_argument("--clock", type=Path, help="libfaketimeMT.so.1, where it is not installed")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    ok, told = True, {}
    for name in asked.environments or [MADE_UP]:
        with tempfile.TemporaryDirectory(prefix="envlock-reproduce-") as folder:
            work = Path(folder)
            work.chmod(0o755)
            environment = made_up(work) if name == MADE_UP else locked(name, work)
            outcomes = run(environment, work, asked.axis or (), asked.clock or find_clock())
        expected = environment.lock.built.manifest if environment.lock.built else None
        good = verdict(outcomes, expected)
        ok = ok and good
        told[name] = [
            {"axis": one.cell.axis, "value": one.cell.value, "digests": one.digests,
             "error": one.error or one.cell.skipped, "seconds": round(one.seconds, 1)}
            for one in outcomes
        ]  # fmt: skip
        if not asked.json:
            print("\n".join(table(name, outcomes, expected)), flush=True)
    if asked.json:
        print(json.dumps(told, indent=2))
    return 0 if ok else 1


def made_up(work: Path) -> Environment:
    """Return an environment of all three kinds that is made in code, the same each time."""
    folder = work / "artifacts"
    folder.mkdir()
    return zoo(folder, *make_debs(folder))


def locked(name: str, work: Path) -> Environment:
    """Return an environment of ``locks/``; its artifacts are fetched where they are missing."""
    lock_file = ROOT / "locks" / f"{name}.linux-64.lock.json"
    lock = load_lock(lock_file)
    store = Store(load_config(os.environ).cache_dir)

    def there() -> dict[str, Path]:
        found = {item.sha256: store.get(item.sha256, item.size) for item in lock.artifacts}
        return {sha256: path for sha256, path in found.items() if path is not None}

    if len(there()) < len(lock.artifacts):
        command = [sys.executable, "-m", "envlock", "--project", str(ROOT), "build", name]
        command += ["--platform", lock.platform, "--no-validate", "-o", str(work / "first")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Environment(lock, there())


def run(
    environment: Environment, work: Path, axes: Sequence[str], clock: Path | None
) -> list[Outcome]:
    """Build in every cell; ``axes``: only these, where there are any."""
    outcomes = []
    for number, cell in enumerate(cells(clock=clock)):
        if axes and cell.axis not in axes:
            continue
        if cell.skipped:
            outcomes.append(Outcome(cell=cell))
            continue
        outcomes.append(_one(environment, work / f"{number}", cell))
    return outcomes


def _one(environment: Environment, folder: Path, cell: Cell) -> Outcome:
    place = folder
    if cell.nobody or (cell.place is not None and cell.place.is_absolute()):
        # of its own: folders above this one may be closed to others
        place = Path(tempfile.mkdtemp(prefix="envlock-reproduce-", dir=cell.place))
    elif cell.place is not None:
        place = folder / cell.place
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    paths = environment.paths
    if cell.nobody:  # whoever the artifacts belong to
        mine = place / "artifacts"
        mine.mkdir()
        paths = {sha256: Path(shutil.copy(path, mine / sha256)) for sha256, path in paths.items()}
        for copy in (place, mine, *mine.iterdir()):
            os.chown(copy, NOBODY, NOBODY)
    work = Environment(environment.lock, paths)
    job = write_job(
        work, place / "job.json", place / "image", place / "cache", workers=cell.workers
    )
    started = time.monotonic()
    digests, error = [], ""
    for gone in ("", *cell.again):
        _remove(place, gone)
        done = subprocess.run(
            [*cell.before, *driver_command(job, cell.python)],
            env=driver_environment(STDLIB_ONLY="1", **cell.variables),
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        digests.append(done.stdout.strip())
        error = error or (done.stderr.strip().splitlines() or ["?"])[-1] if done.returncode else ""
    seconds = time.monotonic() - started
    shutil.rmtree(place, ignore_errors=True)
    return Outcome(cell=cell, digests=tuple(digests), error=error, seconds=seconds)


def _remove(place: Path, what: str) -> None:
    """Take away what a store or an image may have lost between two builds."""
    if what in {"layers", "segments"}:
        shutil.rmtree(place / "cache" / what)
    elif what == "image":
        shutil.rmtree(place / "image")
    elif what == "blobs":
        for blob in sorted((place / "image" / "blobs" / "sha256").iterdir())[::2]:
            blob.unlink()


def verdict(outcomes: Sequence[Outcome], expected: str | None) -> bool:
    """Tell whether there is one digest, and no error; ``expected``: which one it must be."""
    ran = [one for one in outcomes if not one.cell.skipped]
    found = {digest for one in ran for digest in one.digests}
    return (
        bool(ran)
        and not any(one.error for one in ran)
        and len(found) == 1
        and (expected is None or found == {expected})
    )


def table(name: str, outcomes: Sequence[Outcome], expected: str | None) -> list[str]:
    """Return the matrix for people."""
    first = expected or next((digest for one in outcomes for digest in one.digests), "")
    lines = [f"{name}: {first}{' (recorded in the lock)' if expected else ''}"]
    for one in outcomes:
        if one.cell.skipped:
            state = f"--   not run: {one.cell.skipped}"
        elif one.error:
            state = f"FAIL {one.error}"
        else:
            others = sorted({*one.digests} - {first})
            state = f"FAIL {' '.join(others)}" if others else "same"
        spent = f"{one.seconds:6.1f} s" if not one.cell.skipped else " " * 8
        lines.append(f"  {one.cell.axis:12} {one.cell.value:34} {spent}  {state}")
    ran = sum(not one.cell.skipped for one in outcomes)
    word = "one digest" if verdict(outcomes, expected) else "NOT one digest"
    lines.append(f"  {ran} ways, {len(outcomes) - ran} not run here: {word}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
