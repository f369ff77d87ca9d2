"""``envlock validate``: prove an image that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envlock.cli.app import command
from envlock.cli.commands.build import load_named
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.proof import prover
from envlock.errors import CheckFailedError, UsageError


@command("validate")
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
    from envlock.lock.codec import load_lock
    from envlock.validate.report import as_data, as_lines

    state: Context = context.obj
    layout = _given_layout(image)
    if lock is not None:
        chosen = load_lock(lock)
    elif layout is not None:
        chosen = load_named(state, _title(layout), platform)
    else:
        chosen = load_named(state, image, platform)
    layout = layout or built_image(state, image)
    report = prover(state, chosen)(layout)
    for line in as_lines(report):
        state.output.result(line)
    if chosen.built is not None and chosen.built.manifest != report.image:
        state.output.warn(
            f"this is not the recorded image: {chosen.built.manifest} is recorded, "
            f"this is {report.image}"
        )
    state.output.document({"report": as_data(report)})
    if not report.ok:
        failed = report.count("failed")
        raise CheckFailedError(f"{failed} check{'s' if failed != 1 else ''} failed")


def _given_layout(image: str) -> Path | None:
    """Return the layout or tar that ``image`` names, None where it is an environment's name."""
    path = Path(image)
    if path.is_file() or (path / "oci-layout").exists():
        return path
    if "/" in image:
        raise UsageError("this is neither an OCI layout nor a tar of one", where=image)
    return None


def built_image(state: Context, name: str) -> Path:
    """Return where the built image of an environment is; raises UsageError without one."""
    path = state.project.image(name)
    if not (path / "index.json").is_file():
        state.project.locked_platforms(name)
        raise UsageError(f"{name} is not built", hint=f"run envlock build {name}")
    return path


def _title(layout: Path) -> str:
    """Return the environment that an image says it is."""
    from envlock.validate.layout import open_layout

    title = open_layout(layout).title
    if not title:
        raise UsageError(
            "the image does not tell which environment it is",
            where=str(layout),
            hint="name its lock with --lock",
        )
    return title
