"""The command line of the part that travels: GPU checks with the standard library alone.

A GPU machine often has no network and none of envlock's libraries.  The folder ``src``, a lock
and an image (or an unpacked one, or just that machine's own Python) are enough::

    PYTHONPATH=src python3 -m envlock.validate.gpu --python python3 --checks all
    PYTHONPATH=src python3 -m envlock.validate.gpu --image build/bnb --lock locks/bnb….lock.json

Besides ``envlock.cli`` this is the only module that prints and reads the environment.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.errors import EnvlockError, GpuError, UsageError
from envlock.leases import Lease
from envlock.limits import Limits
from envlock.lock.accepts import check_words
from envlock.lock.codec import load_lock
from envlock.platforms import PLATFORMS
from envlock.progress import SILENT
from envlock.validate.acceptance import with_acceptance
from envlock.validate.gpu.catalogue import READY
from envlock.validate.gpu.driver import Gpu, access, describe, find_driver
from envlock.validate.gpu.run import READY_INSIDE, GpuRunner
from envlock.validate.inside import Inside, config_of, enter, shell_quoted
from envlock.validate.layout import open_layout
from envlock.validate.proof import proof_of, write_proof
from envlock.validate.report import as_data, as_lines
from envlock.validate.results import OverrideFacts, Report, Result
from envlock.validate.rootfs import prepare_rootfs
from envlock.validate.sandbox import Bubblewrap, Sandbox, find_bwrap
from envlock.validate.unprotected import PLAIN_WARNING, WARNING, Unprotected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.lock.model import Lock

Planned = list[tuple[str | None, dict[str, Any]]]
"""(the override's package or None, the check) in the order in which they run."""


def main(argv: Sequence[str]) -> int:
    """Run and return the exit code; errors are told in a line or two."""
    options = _parser().parse_args(argv)
    try:
        return _main(options)
    except EnvlockError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m envlock.validate.gpu",
        description="Run GPU checks with nothing but Python's standard library.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--prefix", type=Path, help="the Python of an environment: PREFIX/bin")
    where.add_argument("--rootfs", type=Path, help="an unpacked image")
    where.add_argument("--image", type=Path, help="an OCI layout, or a tar of it")
    parser.add_argument(
        "--python", metavar="PROGRAM", help="which Python: of this machine, or inside the image"
    )
    parser.add_argument("--lock", type=Path, help="the lock: its gpu checks, its environment")
    parser.add_argument("--checks", help=f"all, or names with commas: {', '.join(READY)}")
    parser.add_argument("--cuda", help='the CUDA that the driver must support: "12.4"')
    parser.add_argument(
        "--driver-root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="where the driver lies, if not in /: /run/nvidia/driver",
    )
    parser.add_argument("--no-sandbox", action="store_true", help="do without bubblewrap")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds a check")
    parser.add_argument("--cache", type=Path, help="where --image is unpacked; kept")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the proof of --image")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true", help="with tracebacks")
    return parser


def _main(options: argparse.Namespace) -> int:
    started = time.monotonic()
    lock = load_lock(options.lock) if options.lock else None
    planned = _planned(options.checks, lock)
    if options.record and (options.image is None or lock is None):
        raise UsageError("--record needs --image and --lock")
    with tempfile.TemporaryDirectory(prefix="envlock-") as scratch:
        if options.rootfs or options.image:
            runner, image = _in_image(options, lock, options.cache or Path(scratch))
        else:
            runner, image = _in_place(options), ""
        wanted = options.cuda or (lock.spec.get("platform", {}).get("cuda") if lock else None)
        results: list[Result] = []
        _say(f"GPU checks of {_subject(options, lock)}")
        facts, runner, looked = runner.look(wanted)
        results += [looked] if looked else []
        for package, check in planned:
            value = check["gpu"]
            _say(f"running {value if isinstance(value, str) else shell_quoted(tuple(value))}")
            results.append(_named(runner.check(check, package), check))
    if lock is not None:
        results = with_acceptance(results, lock.spec)
    report = Report(
        name=lock.name if lock else "environment",
        platform=lock.platform if lock else "",
        image=image,
        overrides=_overrides(lock, planned),
        results=tuple(results),
        seconds=time.monotonic() - started,
        gpu=facts,
    )
    return _end(options, report, lock)


def _end(options: argparse.Namespace, report: Report, lock: Lock | None) -> int:
    if options.json:
        print(json.dumps({"report": as_data(report)}, indent=2, sort_keys=True))
    else:
        print("\n".join(as_lines(report, verbose=options.verbose)))
    if options.record and lock is not None:
        write_proof(options.record, proof_of(report, lock))
    return 0 if report.ok else 1


def _planned(names: str | None, lock: Lock | None) -> Planned:
    """Return the checks to run: the named ones, else the lock's, else all."""
    if names is None and lock is not None:
        lists = [(str(o.get("package")), o.get("checks")) for o in lock.spec.get("overrides", ())]
        asked = [(None, lock.spec.get("checks"))]
        found = [
            (package, check)
            for package, checks in [*lists, *asked]
            for check in checks or ()
            if "gpu" in check
        ]
        if not found:
            raise UsageError("the lock has no gpu checks", hint="name some with --checks")
        return found
    chosen = list(READY) if names in {None, "all"} else str(names).split(",")
    unknown = [name for name in chosen if name not in READY]
    if unknown:
        raise UsageError(
            f"there is no ready-made check {unknown[0]!r}", hint=f"there are {', '.join(READY)}"
        )
    return [(None, {"gpu": name}) for name in chosen]


def _in_place(options: argparse.Namespace) -> GpuRunner:
    """Return what runs checks in an environment of this machine, as it is."""
    _say(PLAIN_WARNING)
    python = options.python or sys.executable
    if options.prefix:
        python = str(options.prefix.absolute() / "bin" / "python3")
    found = None
    try:
        found = find_driver(options.driver_root.absolute())
        for line in describe(found):
            _say(line)
    except GpuError as error:  # what the environment itself finds is what counts here
        _say(f"note: {error}")
    inside = Inside(
        sandbox=Unprotected(),
        rootfs=Path("/"),
        env=dict(os.environ),
        user=(os.getuid(), os.getgid()),
        workdir="/",
        home=None,
        limits=Limits(seconds=options.timeout),
    )
    if os.sep in python:
        python = str(Path(python).absolute())
    return GpuRunner(inside=inside, python=python, gpu=Gpu(driver=found), ready=None)


def _in_image(options: argparse.Namespace, lock: Lock | None, cache: Path) -> tuple[GpuRunner, str]:
    """Return what runs checks inside an image, and the image's digest (empty if unpacked)."""
    driver = find_driver(options.driver_root.absolute())
    for line in describe(driver):
        _say(line)
    config, rootfs, digest = config_of(lock), options.rootfs, ""
    if options.image:
        architecture = PLATFORMS[lock.platform].oci if lock else None
        image = open_layout(options.image, architecture=architecture)
        config, digest = image.config, image.manifest
        atexit.register(Lease.take(cache).give_back)
        rootfs = prepare_rootfs(image, cache=cache.absolute(), reporter=SILENT)
    if not rootfs.is_dir():
        raise UsageError("this is no folder", where=str(rootfs))
    inside = enter(
        rootfs.resolve(), config, _sandbox(options), limits=Limits(seconds=options.timeout)
    )
    if rootfs.resolve() == Path("/") and options.no_sandbox:
        raise UsageError("/ is this machine itself", hint="--python names its Python")
    python = options.python or (f"python{lock.python}" if lock else "python3")
    return GpuRunner(inside=inside, python=python, gpu=access(driver), ready=READY_INSIDE), digest


def _sandbox(options: argparse.Namespace) -> Sandbox:
    if options.no_sandbox:
        _say(WARNING)
        return Unprotected()
    return Bubblewrap(find_bwrap(os.environ.get("PATH", os.defpath)))


def _overrides(lock: Lock | None, planned: Planned) -> tuple[OverrideFacts, ...]:
    asking = {package for package, _ in planned}
    return tuple(
        OverrideFacts(
            package=str(item.get("package")),
            version=str(item.get("version", "")).removeprefix("=="),
            because=str(item.get("because") or ""),
        )
        for item in (lock.spec.get("overrides", ()) if lock else ())
        if item.get("package") in asking
    )


def _named(result: Result, check: dict[str, Any]) -> Result:
    return replace(result, check=check_words(check))


def _subject(options: argparse.Namespace, lock: Lock | None) -> str:
    place = options.image or options.rootfs or options.prefix or options.python or sys.executable
    return f"{lock.name} in {place}" if lock else str(place)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
