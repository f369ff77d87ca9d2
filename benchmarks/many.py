"""Many environments of real wheels: what more of them cost.

Each environment has the same dozen packages and some more of its own, drawn from a list with a
fixed seed.  They are solved together, and then the first 1, 10, 25 and all of them are built from
artifacts that are there, each time with nothing packed before.  Needs a package index, a Debian
mirror and some 5 GB of disk:

    python benchmarks/many.py [--environments 50] [--scratch DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SPEC = """\
version: 1
name: {name}
platforms:
  linux-64: {{glibc: "2.36"}}
python: "3.11"
exclude-newer: 2025-10-12T00:00:00Z
debian:
  suite: bookworm
  packages: [python3.11-minimal, libpython3.11-stdlib, libstdc++6, ca-certificates]
pypi:
  dependencies: [{dependencies}]
"""
EVERYWHERE = """
attrs certifi charset-normalizer click idna jinja2 packaging pydantic pyyaml requests
typing-extensions urllib3
"""
SOMEWHERE = """
aiofiles aiohttp alembic anyio apscheduler argcomplete arrow asgiref async-timeout babel bcrypt
beautifulsoup4 black blinker boltons boto3 cachetools celery cffi cloudpickle colorama coverage
croniter cryptography dask dateparser deepdiff django docutils fastapi filelock flask fonttools
frozenlist fsspec gitpython greenlet grpcio gunicorn h5py httptools httpx humanize hypothesis
ipython isort joblib jmespath jsonpatch jsonschema lxml mako markdown marshmallow matplotlib
mistune more-itertools msgpack mypy networkx nltk numpy oauthlib openpyxl orjson pandas paramiko
pillow pluggy prettytable prometheus-client prompt-toolkit psutil psycopg2-binary pyarrow
pygments pyjwt pymongo pynacl pytest python-dateutil pytz rapidfuzz redis regex rich ruamel.yaml
s3fs scikit-learn scipy sentry-sdk shapely simplejson sortedcontainers sphinx sqlalchemy
starlette statsmodels structlog sympy tabulate tenacity toolz tornado tqdm twisted typer ujson
uvicorn uvloop watchdog websockets werkzeug wrapt xlsxwriter xxhash yarl zope.interface
zstandard
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    wall: float
    cpu: float
    output: str


def run(project: Path, cache: Path, *words: str) -> Measured:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "envlock", "--project", str(project), "--json", *words],
        env={**os.environ, "ENVLOCK_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"envlock {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(wall=wall, cpu=cpu, output=done.stdout)


def write_specs(project: Path, number: int) -> list[str]:
    (project / "envs").mkdir(parents=True)
    names = [f"e{n:02}" for n in range(number)]
    for name in names:
        own = random.Random(name).sample(SOMEWHERE.split(), 8)
        text = SPEC.format(name=name, dependencies=", ".join(sorted({*EVERYWHERE.split(), *own})))
        (project / "envs" / f"{name}.yaml").write_text(text)
    return names


def some_of(project: Path, names: list[str], folder: Path) -> Path:
    """Return a project with some of another one's environments."""
    for kind, end in (("envs", ".yaml"), ("locks", ".linux-64.lock.json")):
        (folder / kind).mkdir(parents=True)
        for name in names:
            shutil.copy(project / kind / f"{name}{end}", folder / kind)
    return folder


def wheels(project: Path, names: list[str]) -> list[tuple[str, int]]:
    """Return sha256 and size of each wheel of each environment."""
    locks = [json.loads((project / "locks" / f"{n}.linux-64.lock.json").read_text()) for n in names]
    return [(a["sha256"], a["size"]) for lock in locks for a in lock["artifacts"]
            if a["kind"] == "pypi"]  # fmt: skip


def row(*cells: object) -> None:
    print("| " + " | ".join(f"{c:.1f}" if isinstance(c, float) else str(c) for c in cells) + " |")


def mega(pairs: list[tuple[str, int]]) -> tuple[int, int]:
    """Return the MB of what is there with all repetitions, and without."""
    return sum(size for _, size in pairs) // 10**6, sum(dict(pairs).values()) // 10**6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=int, default=50)
    parser.add_argument("--scratch", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="many-", dir=given.scratch) as folder:
        measure(Path(folder), given.environments)


def measure(scratch: Path, number: int) -> None:
    project, cache = scratch / "all", scratch / "cache"
    names = write_specs(project, number)
    first = run(project, cache, "solve", "--all", "--no-audit")
    again = run(project, cache, "solve", "--all", "--no-audit")
    print(f"{number} environments, {len(set(wheels(project, names)))} different wheels, "
          f"{len(wheels(project, names))} in all\n")  # fmt: skip
    row("solve --all", "wall s", "CPU s")
    row("---", "---", "---")
    row("nothing cached", first.wall, first.cpu)
    row("nothing changed", again.wall, again.cpu)
    run(project, cache, "build", "--all", "--no-validate")  # fetches
    print()
    row(
        "build --all",
        "wheels MB",
        "different",
        "layers MB",
        "different",
        "wall s",
        "CPU s",
        "again",
    )
    row(*["---"] * 8)
    for count in sorted({min(n, number) for n in (1, 10, 25, 50, number)}):
        part = some_of(project, names[:count], scratch / f"first-{count}")
        here = scratch / f"cache-{count}"
        shutil.copytree(cache / "artifacts", here / "artifacts", copy_function=os.link)
        made = run(part, here, "build", "--all", "--no-validate", "--offline")
        same = run(part, here, "build", "--all", "--no-validate", "--offline")
        layers = [(layer["digest"], layer["bytes"])
                  for image in json.loads(made.output)["images"]
                  for layer in image["layers"]]  # fmt: skip
        row(
            count,
            *mega(wheels(project, names[:count])),
            *mega(layers),
            made.wall,
            made.cpu,
            same.cpu,
        )
        shutil.rmtree(part / "build")


if __name__ == "__main__":
    main()
