"""What the audit says of a lock beside what Python says, in the sandbox.

    python benchmarks/audit_truth.py LOCK --store CACHE --work DIR [--swap WHEEL] [--without NAME]

The wheels are unpacked below DIR (as large as the environment) and each claim is tried there:
packages that import and that do not, broken modules, names that functions need.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.audit.reality import Reality, unpack, verdicts

from envlock.audit.api import audit_files, target_of
from envlock.fetch.store import Store
from envlock.lock.codec import load_lock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--store", type=Path, required=True, help="ENVLOCK_CACHE_DIR")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--swap", type=Path, action="append", default=[])
    parser.add_argument("--without", action="append", default=[])
    arguments = parser.parse_args()
    lock, store = load_lock(arguments.lock), Store(arguments.store)
    left_out = {*arguments.without, *(_name(path) for path in arguments.swap)}
    folder = arguments.work / "wheels"
    folder.mkdir(parents=True)
    paths = {path.name: path for path in arguments.swap}
    for artifact in lock.of_kind("pypi"):
        if artifact.name not in left_out:
            place = folder / artifact.file  # uv reads the tags out of the name
            place.symlink_to(store.path(artifact.sha256))
            paths[artifact.sha256] = place
    audit = audit_files(paths, target_of(lock.python, lock.platform), jobs=2)
    site = arguments.work / "site"
    unpack(paths.values(), site, lock.python)
    found = verdicts(audit, Reality(lock.python, arguments.work, site))
    for verdict in found:
        print("ok " if verdict.agrees else "BAD", verdict.claim, "|", verdict.outcome)
    wrong = sum(not verdict.agrees for verdict in found)
    print(f"{len(found) - wrong} of {len(found)} claims are so")
    sys.exit(1 if wrong else 0)


def _name(wheel: Path) -> str:
    return wheel.name.partition("-")[0].replace("_", "-").lower()


if __name__ == "__main__":
    main()
