"""``envlock install``: a lock as an environment in a folder of this machine."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.cli.locks import load_named
from envlock.cli.options import ArtifactMapOption, NameArgument, OfflineOption, PlatformOption
from envlock.cli.proof import prefix_prover, say_report
from envlock.errors import CheckFailedError
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.install.environment import Environment
    from envlock.install.interpreter import Interpreter
    from envlock.install.prefix import Marker
    from envlock.lock.model import Artifact, Lock
    from envlock.validate.results import Report


_Prefix = Annotated[
    Path,
    typer.Option("--prefix", metavar="DIR", help="A new folder, or one that this command made."),
]
_Python = Annotated[
    str | None,
    typer.Option(
        "--python", metavar="PYTHON", help="The machine's Python to use where the lock has none."
    ),
]
_NoValidate = Annotated[
    bool, typer.Option("--no-validate", help="Install without running the checks.")
]
_Check = Annotated[
    bool, typer.Option("--check", help="Only tell whether the folder is what the lock says.")
]


@command("install")
def install_command(
    context: typer.Context,
    name: NameArgument,
    prefix: _Prefix,
    python: _Python = None,
    no_validate: _NoValidate = False,
    artifact_map: ArtifactMapOption = None,
    offline: OfflineOption = False,
    platform: PlatformOption = None,
    check: _Check = False,
) -> None:
    """Install a lock into a folder, to work with it without a container."""
    from envlock.cli.prefixcheck import check_installed
    from envlock.install.environment import install, require_this_machine
    from envlock.install.prefix import check_prefix
    from envlock.layers.plan import conda_python
    from envlock.workers import usable_cpus

    state: Context = context.obj
    state.offline = offline
    lock = load_named(state, name, platform)
    require_this_machine(lock, os.uname().machine)
    place = check_prefix(prefix)
    if check:
        check_installed(state, lock, place)
        return
    interpreter = None if conda_python(lock) else _interpreter(lock, python)
    reports: list[Report] = []
    prove = None if no_validate else _prover(state, place, reports)
    started = time.monotonic()
    paths = _artifacts(state, lock, artifact_map)
    done = install(
        lock, paths, place, interpreter, state.output, workers=usable_cpus(), prove=prove
    )
    _say(state, lock, done, interpreter, time.monotonic() - started)
    from envlock.validate.report import as_data

    state.output.document(
        {
            "name": lock.name,
            "platform": lock.platform,
            "prefix": str(place),
            "files": done.files,
            "env": dict(done.env),
            "report": as_data(reports[0]) if reports else None,
        }
    )


def _interpreter(lock: Lock, named: str | None) -> Interpreter | None:
    from envlock.install.interpreter import find_interpreter

    if not lock.of_kind("pypi"):
        return None
    return find_interpreter(lock.python, named, os.environ.get("PATH", os.defpath))


def _prover(state: Context, place: Path, reports: list[Report]) -> Callable[[Path, Marker], None]:
    """Return what proves an environment before it gets its place, and keeps the report."""
    run = prefix_prover(state, place)

    def prove(content: Path, marker: Marker) -> None:
        report = run(marker, content)
        reports.append(report)
        say_report(state, report)
        if not report.ok:
            failed = report.count("failed")
            raise CheckFailedError(
                f"{counted(failed, 'check')} of {report.name} failed; {place} is as it was",
                hint="envlock install --no-validate installs without the proof",
            )

    return prove


def _artifacts(state: Context, lock: Lock, artifact_map: Path | None) -> dict[str, Path]:
    """Return the local file of each conda package and wheel by sha256."""
    from envlock.image.mapping import read_artifact_map

    mapped = read_artifact_map(artifact_map) if artifact_map else {}
    wanted: list[Artifact] = [*lock.of_kind("conda"), *lock.of_kind("pypi")]
    paths = {a.sha256: mapped[a.sha256] for a in wanted if a.sha256 in mapped}
    rest = [artifact for artifact in wanted if artifact.sha256 not in paths]
    if all(state.fetcher.store.get(a.sha256, a.size) for a in rest):
        return paths | state.fetcher.all(rest, {}, state.output)
    locators = state.locators(lock, state.optional_spec(lock.name))
    return paths | state.fetcher.all(rest, locators, state.output)


def _say(
    state: Context,
    lock: Lock,
    done: Environment,
    interpreter: Interpreter | None,
    seconds: float,
) -> None:
    for package, script in done.activation:
        state.output.warn(f"{package}: {script} is for a shell to source; envlock runs none")
    for package, script in done.link_scripts:
        state.output.warn(
            f"{package}: {script} was not run; only a build does, in its sandbox. On this machine: "
            f"PREFIX={shlex.quote(str(done.prefix))} bash {shlex.quote(f'{done.prefix}/{script}')}"
        )
    debs = len(lock.of_kind("debian"))
    if debs:
        state.output.message(
            f"the lock's {debs} Debian packages are not installed: this is the machine's own system"
        )
    if interpreter is not None:
        state.output.message(f"Python is {interpreter.program} ({interpreter.version})")
    for variable, value in done.env.items():
        state.output.message(f"its packages want {variable}={value}")
    state.output.message(
        f"{lock.name} {lock.platform}: {counted(done.files, 'file')} in {done.prefix} "
        f"({seconds:.1f} s)"
    )
    state.output.result(str(done.prefix / "bin"))
