"""Times of the import audit on a lock whose wheels are in the store.

    python benchmarks/audit.py locks/bnb-cu124.linux-64.lock.json --store CACHE [--swap WHEEL]

The processor time is that of all processes together; what is wanted on two quiet cores stands
behind each row (``TARGETS``).  "resolve alone" keeps nothing, and is done by one process; "run" is
what a command does, which writes down what the next run may take over.  ``--swap`` audits the
lock once more with one wheel in the place of its distribution's; ``--full`` compares that with a
full audit.

    python benchmarks/audit.py --many FOLDER

audits 300 popular wheels together, for this Python: the first of ``MANY`` (tests/audit/corpus.py),
each with what it requires, until there are 300.  An empty folder is filled first.  Then numpy
changes by a line (``--edit`` names another distribution).
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from envlock.audit.api import audit_files, audit_indexes, load_indexes, target_of
from envlock.audit.index.wheel import metadata_of
from envlock.audit.model import normalize
from envlock.fetch.store import Store
from envlock.lock.codec import load_lock

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.audit.corpus import MANY

if TYPE_CHECKING:
    from envlock.audit import Target
    from envlock.audit.index.model import WheelIndex


TARGETS = {"cold": 20.0, "many": 5.0, "unchanged": 0.5, "swap": 2.0}
"""Seconds: index and run of a lock, run of 300 wheels, no change, one distribution changed."""
WHEELS = 300
"""How many wheels ``--many`` takes."""
MEMORY = 500
"""Megabytes that no process may take more of."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path, nargs="?")
    parser.add_argument("--store", type=Path, help="ENVLOCK_CACHE_DIR")
    parser.add_argument("--many", type=Path, metavar="FOLDER")
    parser.add_argument("--swap", type=Path, nargs="*", default=[])
    parser.add_argument("--edit", metavar="NAME", default="numpy")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    arguments = parser.parse_args()
    if arguments.many is None and (arguments.lock is None or arguments.store is None):
        parser.error("name a lock and --store, or --many")
    paths, target = _locked(arguments) if arguments.many is None else _many(arguments.many)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)

        def timed(label: str, files: dict[str, Path], wanted: str, before: float = 0) -> None:
            started, cpu = time.monotonic(), _cpu()
            audit = audit_files(files, target, cache=cache, jobs=arguments.jobs)
            wall, used = time.monotonic() - started, _cpu() - cpu
            shown = [f"{name} {audit.count(name)}" for name in ("breaks-import", "breaks-call")]
            print(f"{label:18} {wall:6.2f} s  (CPU {used:5.2f} s)  {', '.join(shown)}")
            whole = "" if not before else f"{wall + before:.2f} s with the index, "
            print(f"{'':18} {whole}wanted: under {TARGETS[wanted]:g} s")

        started, cpu = time.monotonic(), _cpu()
        indexes, _ = load_indexes(paths, cache=cache, jobs=arguments.jobs)
        wall, used = time.monotonic() - started, _cpu() - cpu
        modules = sum(len(index.modules) for index in indexes)
        print(f"{'index, cold':18} {wall:6.2f} s  (CPU {used:5.2f} s)  {modules} modules")
        _resolve_alone(indexes, target)
        del indexes
        if arguments.many is None:
            timed("run", paths, "cold", wall)
        else:
            timed("run", paths, "many")
        timed("unchanged", paths, "unchanged")
        swaps = list(arguments.swap)
        if arguments.many is not None and not swaps:
            swaps.append(_edited(paths, arguments.edit, cache))
        for swap in swaps:
            changed = _swapped(paths, swap)
            load_indexes(changed, cache=cache, jobs=arguments.jobs)
            timed(f"with {'-'.join(swap.name.split('-')[:2])}", changed, "swap")
            if arguments.full:
                known = audit_files(changed, target, cache=cache)
                indexes, _ = load_indexes(changed, cache=cache)
                started, cpu = time.monotonic(), _cpu()
                same = audit_indexes(indexes, target) == known
                wall, used = time.monotonic() - started, _cpu() - cpu
                print(f"{'  in full':18} {wall:6.2f} s  (CPU {used:5.2f} s)  same: {same}")
    own, workers = (
        resource.getrusage(who).ru_maxrss * 1024 // 1_000_000
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(f"peak memory: {own} MB, and {workers} MB in a worker; wanted: under {MEMORY} MB each")
    print(f"load {os.getloadavg()[0]:.1f}")


def _resolve_alone(indexes: list[WheelIndex], target: Target) -> None:
    gc.disable()  # as an audit does
    started, cpu = time.monotonic(), _cpu()
    audit_indexes(indexes, target)
    wall, used = time.monotonic() - started, _cpu() - cpu
    gc.enable()
    print(f"{'resolve alone':18} {wall:6.2f} s  (CPU {used:5.2f} s)")


def _locked(arguments: argparse.Namespace) -> tuple[dict[str, Path], Target]:
    lock, store = load_lock(arguments.lock), Store(arguments.store)
    paths = {artifact.sha256: store.path(artifact.sha256) for artifact in lock.of_kind("pypi")}
    return paths, target_of(lock.python, lock.platform)


def _many(folder: Path) -> tuple[dict[str, Path], Target]:
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-qq", "--progress-bar", "off"]
        command += ["--only-binary", ":all:", "--disable-pip-version-check"]
        subprocess.run([*command, "--dest", str(folder), *MANY], check=True)
    wheels = _chosen({_distribution(wheel): wheel for wheel in sorted(folder.glob("*.whl"))})
    print(f"{len(wheels)} wheels")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {_digest(wheel): wheel for wheel in wheels}, target_of(python, "linux-64")


def _chosen(wheels: dict[str, Path]) -> list[Path]:
    """Return wheels of a folder, by distribution, that have what they require; at most 300."""
    chosen: set[str] = set()
    for root in MANY:
        more: set[str] = set()
        left = [normalize(root)]
        while left:
            name = left.pop()
            if name in wheels and name not in more | chosen:
                more.add(name)
                left += _required(wheels[name])
        if len(chosen | more) <= WHEELS:
            chosen |= more
    return [wheels[name] for name in sorted(chosen)]


def _required(wheel: Path) -> list[str]:
    """Return what a wheel requires here, without its extras."""
    requirements = (Requirement(line) for line in _metadata(wheel)["requires"])
    return [
        normalize(one.name)
        for one in requirements
        if one.marker is None or one.marker.evaluate({"extra": ""})
    ]


def _edited(paths: dict[str, Path], name: str, folder: Path) -> Path:
    """Return a copy of a distribution's wheel in which the package has one more name."""
    wheel = next(path for path in paths.values() if _distribution(path) == normalize(name))
    changed = folder / wheel.name
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(changed, "w") as after:
        for info in before.infolist():
            data = before.read(info)
            if info.filename == f"{name}/__init__.py":
                data += b"\nedited = True\n"
            after.writestr(info, data)
    return changed


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _metadata(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        file = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return metadata_of(archive.read(file).decode("utf-8", "replace"))


def _distribution(path: Path) -> str:
    return normalize(_metadata(path)["name"])


def _swapped(paths: dict[str, Path], wheel: Path) -> dict[str, Path]:
    name = _distribution(wheel)
    kept = {key: path for key, path in paths.items() if _distribution(path) != name}
    return {**kept, _digest(wheel): wheel}


def _cpu() -> float:
    """Return the seconds of processor time of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
