"""``envlock run``: a command inside a built image."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.commands.validate import built_image, given_layout
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.proof import sandbox, this_gpu
from envlock.errors import UsageError

if TYPE_CHECKING:
    from envlock.validate.inside import Inside
    from envlock.validate.sandbox import Bind


@command(
    "run",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def run_command(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="An environment that is built, an OCI layout, or a tar of one.",
            autocompletion=environments,
        ),
    ],
    argv: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND ARG", help="The image's own by default."),
    ] = None,
    network: Annotated[bool, typer.Option("--network", help="Let the command use it.")] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="Show it this machine's GPU.")] = False,
    bind: Annotated[
        list[str] | None,
        typer.Option(
            "--bind", metavar="SOURCE[:TARGET]", help="Show a folder of this machine, read-only."
        ),
    ] = None,
) -> None:
    """Run a command in the built image: read-only root, /tmp and home writable, no network."""
    from envlock.limits import UNLIMITED
    from envlock.validate.foreground import run_in_front
    from envlock.validate.gpu.run import enter_gpu
    from envlock.validate.inside import enter
    from envlock.validate.layout import open_layout
    from envlock.validate.lookup import require_runnable
    from envlock.validate.rootfs import prepare_rootfs

    state: Context = context.obj
    image = open_layout(_place(state, name))
    rootfs = prepare_rootfs(image, cache=state.cache, reporter=state.output)
    inside = enter(rootfs, image.config, sandbox(), limits=UNLIMITED)
    words = argv[1:] if argv and argv[0] == "--" else argv
    wanted = (*image.config.entrypoint, *(words or image.config.command))
    if not wanted:
        raise UsageError(f"{name} has no command of its own", hint=f"envlock run {name} -- COMMAND")
    binds = tuple(_bind(text) for text in bind or ())
    if gpu:
        shown = this_gpu(state)
        inside, binds = enter_gpu(inside, shown), (*shown.binds, *binds)
    _require_program(inside, wanted[0], binds)
    require_runnable(inside, image.config.architecture, hint=_elsewhere(state, image.title or name))
    if sys.stdin is not None and sys.stdin.isatty():
        done = run_in_front(inside, wanted, binds=binds, network=network)
    else:
        done = inside.run(wanted, binds=binds, network=network, interactive=True)
    sys.exit(done.returncode)


def _place(state: Context, image: str) -> Path:
    """Return where the image is: at its path, or where the one for this machine was built."""
    if "/" in image or image.endswith(".tar") or (Path(image) / "oci-layout").is_file():
        return given_layout(image) or Path(image)
    ours = state.project.image(image, _this_platform())
    return ours if (ours / "index.json").is_file() else built_image(state, image)


def _this_platform() -> str | None:
    """Return the platform whose images this machine runs."""
    from envlock.platforms import PLATFORMS

    machine = os.uname().machine
    return next((known.name for known in PLATFORMS.values() if known.machine == machine), None)


def _elsewhere(state: Context, name: str) -> str:
    """Return what to do with an image for another machine, here or there."""
    ours = _this_platform()
    try:
        locked = ours is not None and state.project.lock(name, ours).exists()
    except UsageError:  # the image may be run where its project is not
        locked = False
    if locked:
        return f"to have it for this one: envlock build {name} --platform {ours}"
    return "run it on such a machine"


class CommandNotFoundError(UsageError):
    """The image has no such program; the exit code is a shell's."""

    exit_code = 127


class CommandNotExecutableError(UsageError):
    """What the image has there cannot be run; the exit code is a shell's."""

    exit_code = 126


def _require_program(inside: Inside, program: str, binds: tuple[Bind, ...]) -> None:
    from envlock.validate.lookup import find_program

    found = find_program(inside, program, mounted=[bind.target for bind in binds])
    if found == "missing":
        is_option = program.startswith("-")
        raise CommandNotFoundError(
            f"{program} is not in the image",
            hint="options go before NAME" if is_option else None,
        )
    if found == "not-executable":
        raise CommandNotExecutableError(f"{program} in the image is not an executable file")


def _bind(text: str) -> Bind:
    from envlock.validate.sandbox import Bind

    source, _, target = text.partition(":")
    path = Path(source).resolve()
    if not path.exists():
        raise UsageError(f"--bind {text}: {source} is not there")
    return Bind(source=path, target=target or str(path))
