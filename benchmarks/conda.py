"""The conda solve beside rattler alone: time, CPU time and peak memory.

    python benchmarks/conda.py [--subset CHANNEL] [--records 500000] [--rounds 5]

``--subset``: a folder with the repodata of real packages (``linux-64/repodata.json``,
``noarch/repodata.json``).  The synthetic channel is the same for the same ``--seed``.  Each
measurement is a process of its own, the two sides take turns, and the table has each side's best
round.  Both begin with an empty cache, with their modules loaded and the spec read, which is
shown apart ("ready").  Packages are not opened: the channels have repodata only.  In the last
line of each channel a package is forced against one dependent, which rattler alone cannot do:
there it solves without.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
FORCED_SUBSET = ("numpy ==1.26.4", "scipy")
FORCED_SYNTHETIC = ("p9000 ==1.0", "p9999")
SUBSET = {
    "pytorch, CUDA": ["python=3.12", "pytorch=*=*cuda*", "cuda-version=12.4"],
    "jupyterlab, scipy": ["python=3.12", "jupyterlab", "scipy", "pandas", "scikit-learn"],
}
SYNTHETIC = {
    "10 of the top": [f"p{number}" for number in range(9_990, 10_000)],
    "60 of the top": [f"p{number}" for number in range(9_940, 10_000)],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One run: seconds (until ready, solving, of CPU), MiB at the peak, packages chosen."""

    ready: float
    wall: float
    cpu: float
    peak: float
    packages: int
    digest: str


def make_channel(folder: Path, records: int, seed: int) -> None:
    """Write a channel of so many records: 10,000 names, each needs some of lower numbers.

    Of each version there are builds for four Pythons, as on real channels.
    """
    source = random.Random(seed)
    versions = max(1, records // (10_000 * len(PYTHONS)))
    packages: dict[str, Any] = {}
    for python in PYTHONS:
        _record(packages, source, "python", f"{python}.1", "h0_0", ["__glibc >=2.17"])
    for number in range(10_000):
        below = [source.randrange(number) for _ in range(min(number, source.randrange(6)))]
        for version in range(versions):
            for python in PYTHONS:
                upper = f"{python[:2]}{int(python[2:]) + 1}.0a0"
                needs = [f"p{other} >=1.{source.randrange(versions)}" for other in sorted({*below})]
                _record(
                    packages,
                    source,
                    f"p{number}",
                    f"1.{version}",
                    f"py{python.replace('.', '')}h{source.getrandbits(28):07x}_0",
                    [f"python >={python},<{upper}", *needs],
                )
    for subdir, content in (("linux-64", packages), ("noarch", {})):
        (folder / subdir).mkdir(parents=True)
        value = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": content}
        (folder / subdir / "repodata.json").write_text(json.dumps(value))


def _record(
    packages: dict[str, Any],
    source: random.Random,
    name: str,
    version: str,
    build: str,
    depends: list[str],
) -> None:
    packages[f"{name}-{version}-{build}.conda"] = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": 0,
        "depends": depends,
        "md5": f"{source.getrandbits(128):032x}",
        "sha256": f"{source.getrandbits(256):064x}",
        "size": source.randrange(1_000, 10_000_000),
        "subdir": "linux-64",
        "timestamp": 1_735_689_600_000,
    }


SPEC = """\
version: 1
name: one
platforms:
  linux-64: {{glibc: "2.36", cuda: "12.4"}}
python: "3.12"
conda:
  channels: [{{name: main, url: "{url}"}}]
  dependencies: {specs}
"""


def _read(channel: Path, specs: list[str]) -> Any:
    from envlock.spec.document import parse_document
    from envlock.spec.parse import parse_spec

    text = SPEC.format(url=channel.as_uri(), specs=json.dumps(specs))
    return parse_spec(parse_document(text, "spec"), "spec")


def ours(channel: Path, spec: Any, cache: Path) -> list[str]:
    """Solve as ``envlock solve`` does, from the spec to the lock's artifacts."""
    from envlock.channels import ChannelAccess
    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http
    from envlock.fetch.store import Store
    from envlock.progress import SILENT
    from envlock.solve.conda import CondaMeans, solve_conda

    class Closed:
        """What looks into packages, where there are none."""

        def with_contents(self, artifacts: Any, *_: Any) -> Any:
            return tuple(artifacts)

    class Means(CondaMeans):
        def reader(self) -> Any:
            return Closed()

    http = Http()
    means = Means(
        access={"main": ChannelAccess(urls=(channel.as_uri(),))},
        http=http,
        fetcher=Fetcher(Store(cache), http),
        cache=cache,
    )
    solution = solve_conda(spec, spec.targets[0], means, SILENT)
    return [artifact.path for artifact in solution.artifacts]


def forced(channel: Path, asked: Any, cache: Path) -> list[str]:
    """Solve with an entry forced against one dependent: spec, entry, dependent."""
    from envlock.channels import ChannelAccess
    from envlock.solve.conda.channels import Channels
    from envlock.solve.conda.solve import target_packages
    from envlock.solve.conda.solver import Question, Rattler

    spec, entry, dependent = asked
    package = entry.split()[0]
    question = Question(
        platform="linux-64",
        priority="strict",
        dependencies=spec.conda.dependencies,
        constraints=[],
        more_constraints=["python 3.12.*"],
        virtual=target_packages(spec.targets[0]),
        forced={package: entry},
        dependents={package: frozenset({dependent})},
    )
    channels = Channels(["main"], {"main": ChannelAccess(urls=(channel.as_uri(),))}, cache)
    return [f"{one.subdir}/{one.file_name}" for one in Rattler(channels).ask(question)]


def rattler(channel: Path, specs: list[str], cache: Path) -> list[str]:
    """Solve the same with nothing but rattler."""
    from rattler import (
        BuildString,
        Channel,
        Gateway,
        GenericVirtualPackage,
        MatchSpec,
        PackageName,
        Version,
        solve,
    )

    virtual = [
        ("__glibc", "2.36", "0"),
        ("__linux", "5.10", "0"),
        ("__unix", "0", "0"),
        ("__archspec", "1", "x86_64"),
        ("__cuda", "12.4", "0"),
    ]
    python = [] if any(one.startswith("python") for one in specs) else [MatchSpec("python 3.12.*")]
    records = asyncio.run(
        solve(
            [Channel(channel.as_uri())],
            [MatchSpec(text) for text in specs],
            gateway=Gateway(cache_dir=cache),
            platforms=["linux-64", "noarch"],
            constraints=python,
            virtual_packages=[
                GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
                for name, version, build in virtual
            ],
        )
    )
    return [f"{record.subdir}/{record.file_name}" for record in records]


SIDES = {"rattler": rattler, "envlock": ours, "forced": forced}
MODULES = {
    "rattler": ("rattler",),
    "envlock": (
        "envlock.channels", "envlock.fetch.artifacts", "envlock.fetch.http", "envlock.fetch.store",
        "envlock.progress", "envlock.solve.conda", "envlock.spec.parse", "jsonschema",
    ),
}  # fmt: skip


def measure(side: str, channel: Path, specs: list[str]) -> None:
    """Solve once and print what was seen; this is the process that is measured."""
    started = time.monotonic()
    for module in ("rattler", *MODULES.get(side, MODULES["envlock"])):
        importlib.import_module(module)
    asked: Any = specs
    if side == "envlock":
        asked = _read(channel, specs)
    elif side == "forced":
        asked = (_read(channel, specs[:-2]), *specs[-2:])
    ready = time.monotonic() - started
    with tempfile.TemporaryDirectory() as cache:
        before = resource.getrusage(resource.RUSAGE_SELF)
        started = time.monotonic()
        chosen = SIDES[side](channel, asked, Path(cache))
        wall = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    digest = hashlib.sha256("\n".join(sorted(chosen)).encode()).hexdigest()[:12]
    print(json.dumps([ready, wall, cpu, after.ru_maxrss / 1024, len(chosen), digest]))


def run(side: str, channel: Path, specs: list[str]) -> Seen:
    command = [sys.executable, __file__, "--side", side, "--subset", str(channel), *specs]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr.strip()}")
    ready, wall, cpu, peak, packages, digest = json.loads(done.stdout)
    return Seen(ready=ready, wall=wall, cpu=cpu, peak=peak, packages=packages, digest=digest)


def compare(
    label: str, channel: Path, specs: list[str], rounds: int, force: tuple[str, str] | None = None
) -> None:
    """Print one line of the table; without ``force`` both sides must choose the same packages."""
    theirs: list[Seen] = []
    mine: list[Seen] = []
    for _ in range(rounds):
        theirs.append(run("rattler", channel, specs))
        side = "forced" if force else "envlock"
        mine.append(run(side, channel, [*specs, *(force or ())]))
    if force is None and len({one.digest for one in (*theirs, *mine)}) != 1:
        raise SystemExit(f"{label}: the two sides chose other packages")
    cells = [f"{label:26} {mine[0].packages:5d}"]
    for field in ("ready", "wall", "cpu", "peak"):
        one, other = (min(getattr(seen, field) for seen in runs) for runs in (theirs, mine))
        digits = 0 if field == "peak" else 3
        ratio = "" if field == "ready" else f" {other / one:5.2f}"
        cells.append(f"{one:7.{digits}f} {other:7.{digits}f}{ratio}")
    print("  ".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--subset", type=Path)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=20250520)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side, arguments.subset, arguments.specs)
        return
    print("rattler, envlock, ratio:")
    print(f"{'':27} pkgs  {'ready, s':^15}  {'seconds':^21}  {'CPU s':^21}  {'peak MiB':^21}")
    if arguments.subset:
        channel = arguments.subset.resolve()
        for label, specs in SUBSET.items():
            compare(label, channel, specs, arguments.rounds)
        compare(f"{label}, forced", channel, specs, arguments.rounds, FORCED_SUBSET)
    with tempfile.TemporaryDirectory() as folder:
        channel = Path(folder)
        make_channel(channel, arguments.records, arguments.seed)
        for label, specs in SYNTHETIC.items():
            compare(label, channel, specs, arguments.rounds)
        compare(f"{label}, forced", channel, [*specs, "p9000"], arguments.rounds, FORCED_SYNTHETIC)


if __name__ == "__main__":
    main()
