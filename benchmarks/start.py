"""How long commands take that people run all day, beside uv's.

    python benchmarks/start.py [NAME] [--rounds 10]

``--help``, ``--version`` and the offline check of a lock (``envlock solve --check NAME``, ``uv lock
--check --offline``), the latter in a project with the same requirements, locked before it is
measured.  Each side's best round counts; processor seconds are those of all its processes.  The
checks are not the same work: uv solves again with the lock at hand, envlock compares the spec
with what the lock says of it and verifies the seal of every artifact, of Debian's too.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tomli_w
from uv import find_uv_bin

from envlock.spec.parse import load_spec

ROOT = Path(__file__).parents[1]
ENVLOCK = (sys.executable, "-m", "envlock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line of the table; folder: where it runs."""

    title: str
    words: tuple[str, ...]
    folder: Path


def measure(command: Command, rounds: int) -> tuple[float, float, float]:
    """Return the best wall and processor seconds, and the peak of memory in MB."""
    walls, cpus = [], []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        subprocess.run(command.words, cwd=command.folder, capture_output=True, check=True)
        walls.append(time.monotonic() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(walls), min(cpus), _peak(command)


def _peak(command: Command) -> float:
    """Return the memory of one more run, seen by a parent that had no other child."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], capture_output=True, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)"
    )
    words = [sys.executable, "-c", code, *command.words]
    done = subprocess.run(words, cwd=command.folder, capture_output=True, text=True, check=True)
    return float(done.stdout)


def uv_project(name: str, folder: Path) -> None:
    """Write and lock a project with the requirements of an environment."""
    spec = load_spec(ROOT / "envs" / f"{name}.yaml", name)
    overrides = [f"{one.package}{one.version}" for one in spec.overrides if one.kind == "pypi"]
    table = {
        "project": {
            "name": "asked",
            "version": "0",
            "requires-python": f"=={spec.python}.*",
            "dependencies": [str(one.requirement) for one in spec.pypi.dependencies],
        },
        "tool": {"uv": {"override-dependencies": overrides}},
    }
    (folder / "pyproject.toml").write_text(tomli_w.dumps(table))
    subprocess.run([find_uv_bin(), "lock", "-q"], cwd=folder, check=True)


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="?", default="small", help="an environment of envs/")
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        uv_project(asked.name, project)
        uv = find_uv_bin()
        table = [
            Command(title="envlock --version", words=(*ENVLOCK, "--version"), folder=ROOT),
            Command(title="uv --version", words=(uv, "--version"), folder=project),
            Command(title="envlock --help", words=(*ENVLOCK, "--help"), folder=ROOT),
            Command(title="uv --help", words=(uv, "--help"), folder=project),
            Command(
                title=f"envlock solve --check {asked.name}",
                words=(*ENVLOCK, "solve", "--check", asked.name),
                folder=ROOT,
            ),
            Command(
                title="uv lock --check --offline",
                words=(uv, "lock", "--check", "--offline"),
                folder=project,
            ),
        ]
        load = os.getloadavg()[0]
        print(f"load {load:.1f}, {os.cpu_count()} processors, best of {asked.rounds}\n")
        print("| command | wall s | CPU s | memory MB |\n|---|---|---|---|")
        for command in table:
            wall, cpu, peak = measure(command, asked.rounds)
            print(f"| `{command.title}` | {wall:.2f} | {cpu:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
