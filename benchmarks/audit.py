"""Times of the import audit on a lock whose wheels are in the store.

    python benchmarks/audit.py locks/bnb-cu124.linux-64.lock.json --store CACHE [--swap WHEEL]

The processor time is that of all processes together.  ``--swap`` audits the lock once more
with one wheel in the place of its distribution's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

from envlock.audit.api import audit_files, load_indexes, target_of
from envlock.fetch.store import Store
from envlock.lock.codec import load_lock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--store", type=Path, required=True, help="ENVLOCK_CACHE_DIR")
    parser.add_argument("--swap", type=Path)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    arguments = parser.parse_args()
    lock = load_lock(arguments.lock)
    store = Store(arguments.store)
    paths = {artifact.sha256: store.path(artifact.sha256) for artifact in lock.of_kind("pypi")}
    target = target_of(lock.python, lock.platform)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)

        def timed(label: str, files: dict[str, Path]) -> None:
            started, cpu = time.monotonic(), _cpu()
            audit = audit_files(files, target, cache=cache, jobs=arguments.jobs)
            wall, used = time.monotonic() - started, _cpu() - cpu
            shown = [f"{name} {audit.count(name)}" for name in ("breaks-import", "breaks-call")]
            print(f"{label:18} {wall:6.2f} s  (CPU {used:5.2f} s)  {', '.join(shown)}")

        started, cpu = time.monotonic(), _cpu()
        indexes, _ = load_indexes(paths, cache=cache, jobs=arguments.jobs)
        wall, used = time.monotonic() - started, _cpu() - cpu
        modules = sum(len(index.modules) for index in indexes)
        del indexes
        print(f"{'index, cold':18} {wall:6.2f} s  (CPU {used:5.2f} s)  {modules} modules")
        timed("run", paths)
        timed("unchanged", paths)
        if arguments.swap:
            name = arguments.swap.name.partition("-")[0].replace("_", "-").lower()
            old = next(a.sha256 for a in lock.of_kind("pypi") if a.name == name)
            changed = {key: path for key, path in paths.items() if key != old}
            timed("one changed", {**changed, "swapped": arguments.swap})
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"peak memory: {own} MiB, and {workers} MiB in a worker; load {os.getloadavg()[0]:.1f}")


def _cpu() -> float:
    """Return the seconds of processor time of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
