"""Fuzz the readers: ``python -m tests.fuzz --seconds 60 [TARGET...]``.

With atheris (a coverage-guided fuzzer; ``pip install atheris`` where there is a wheel) where it
is installed, else by plain mutation.  What goes wrong is written to ``--found``, and the exit
code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of all targets together")
    parser.add_argument("--seed", type=int, default=None, help="of plain mutation")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"))
    parser.add_argument("--corpus", type=Path, help="kept between runs [default: a new folder]")
    parser.add_argument("--plain", action="store_true", help="mutate, although atheris is there")
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    asked = parser.parse_args()
    if asked.inner:
        _inner(asked.targets[0], asked.corpus, asked.seconds, asked.found)
        return 0
    guided = not asked.plain and importlib.util.find_spec("atheris") is not None
    from .seeds import seeds

    names = asked.targets or list(seeds())
    with tempfile.TemporaryDirectory() as folder:
        failed = []
        for name in names:
            share = asked.seconds / len(names)
            corpus = (asked.corpus or Path(folder)) / name
            told = (
                _guided(name, corpus, share, asked.found)
                if guided
                else _plain(name, share, asked.found, asked.seed)
            )
            print(json.dumps(told), flush=True)
            failed += [name] if told["failed"] else []
    return 1 if failed else 0


def _plain(name: str, seconds: float, found: Path, seed: int | None) -> dict[str, object]:
    """Run a target on mutated seeds; stops at the first that goes wrong."""
    from .mutate import mutated
    from .seeds import seeds
    from .targets import run

    chosen = random.randrange(1 << 32) if seed is None else seed
    dice, started, runs, taken = random.Random(chosen), time.monotonic(), 0, 0
    pool = list(seeds()[name])
    problem = None
    while time.monotonic() - started < seconds and problem is None:
        data = mutated(dice.choice(pool), pool, dice)
        runs += 1
        try:
            taken += run(name, data)
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            problem = traceback.format_exc()
            print(problem, file=sys.stderr)
            print(f"written to {_keep(data, found / name)}", file=sys.stderr)
    spent = round(time.monotonic() - started, 1)
    return {
        "target": name, "by": "mutation", "seed": chosen, "runs": runs, "taken": taken,
        "seconds": spent, "failed": problem is not None,
    }  # fmt: skip


def _keep(data: bytes, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def _guided(name: str, corpus: Path, seconds: float, found: Path) -> dict[str, object]:
    """Run a target under atheris, in a process of its own."""
    from .seeds import seeds

    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds()[name]:
        _keep(data, corpus)
    (found / name).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", __package__ or "", "--inner", "--corpus", str(corpus),
         "--found", str(found / name), "--seconds", str(seconds), name],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False,
    )  # fmt: skip
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    if done.returncode:
        print(done.stderr[-6000:], file=sys.stderr)
    return {
        "target": name, "by": "atheris", "runs": int(figures.get("number_of_executed_units", 0)),
        "corpus": len(list(corpus.iterdir())), "seconds": round(time.monotonic() - started, 1),
        "failed": bool(done.returncode),
    }  # fmt: skip


def _inner(name: str, corpus: Path, seconds: float, found: Path) -> None:
    import atheris

    from envlock.errors import EnvlockError

    with atheris.instrument_imports(include=["envlock"]):
        from . import targets
    target = targets.TARGETS[name]

    def one(data: bytes) -> None:
        try:
            target(data)
        except EnvlockError:
            return

    options = [
        f"-max_total_time={max(1, int(seconds))}", "-print_final_stats=1", "-timeout=20",
        "-max_len=65536", "-rss_limit_mb=2048", f"-artifact_prefix={found}/", str(corpus),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
