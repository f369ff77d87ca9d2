"""``envlock validate``: prove an image that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import app
from envlock.cli.commands.build import load_named
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.proof import prover, say_report
from envlock.errors import CheckFailedError, UsageError

if TYPE_CHECKING:
    from envlock.lock.model import Lock


@app.command("validate")
def validate_command(
    context: typer.Context,
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="An environment's name, an OCI layout, or a tar of one.",
            autocompletion=environments,
        ),
    ],
    lock: Annotated[
        Path | None, typer.Option("--lock", help="The lock it was built from.", dir_okay=False)
    ] = None,
    platform: Annotated[str | None, typer.Option(help="One of the locked platforms.")] = None,
) -> None:
    """Run an image's checks in a sandbox and compare it with its lock."""
    from envlock.validate.report import as_data

    state: Context = context.obj
    layout = _layout(state, image)
    chosen = _lock(state, image, layout, lock, platform)
    report = prover(state, chosen)(layout)
    say_report(state, report)
    state.output.document({"report": as_data(report)})
    if not report.ok:
        failed = report.count("failed")
        raise CheckFailedError(f"{failed} check{'s' if failed != 1 else ''} failed")


def _layout(state: Context, image: str) -> Path:
    """Return the image's place: a path that exists, or the build of an environment."""
    path = Path(image)
    if path.exists() and (path.suffix == ".tar" or (path / "oci-layout").exists()):
        return path
    return built_image(state, image)


def built_image(state: Context, name: str) -> Path:
    """Return where the built image of an environment is; raises UsageError without one."""
    path = state.project.image(name)
    if not (path / "index.json").is_file():
        state.project.locked_platforms(name)
        raise UsageError(f"{name} is not built", hint=f"run envlock build {name}")
    return path


def _lock(
    state: Context, image: str, layout: Path, lock: Path | None, platform: str | None
) -> Lock:
    from envlock.lock.codec import load_lock
    from envlock.validate.layout import open_layout

    if lock is not None:
        return load_lock(lock)
    if layout == state.project.image(image):
        return load_named(state, image, platform)
    title = open_layout(layout).title
    if not title:
        raise UsageError(
            "the image does not tell which environment it is",
            where=str(layout),
            hint="name its lock with --lock",
        )
    return load_named(state, title, platform)
