"""The command ``envlock``: shared options, and how it ends."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.context import Context
from envlock.cli.ending import Interrupted, run
from envlock.cli.examples import COMMANDS
from envlock.cli.options import Json, Project, Quiet, Verbose, with_shared_options
from envlock.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable


class _Commands(typer.core.TyperGroup):
    """The commands, in the order in which one meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands: those with examples in their order, then the rest."""
        return sorted(super().list_commands(ctx), key=lambda name: _PLACES.get(name, len(_PLACES)))


_PLACES = {name: place for place, name in enumerate(COMMANDS)}

app = typer.Typer(
    name="envlock",
    cls=_Commands,
    epilog="envlock COMMAND --help tells more, with examples. A first environment: envlock init, "
    "envlock solve, envlock build.",
    help="Declared environments: solve them into small host-free locks, build the locks into "
    "reproducible OCI images, and prove what each override was for.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from envlock import __version__
        from envlock.lock.model import FORMAT, PACKER

        print(f"envlock {__version__} (lock format {FORMAT}, packer {PACKER})")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    project: Project = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Set up what all commands share."""
    context.obj.apply(project=project, json=json, quiet=quiet, verbose=verbose)


def texts(name: str) -> dict[str, Any]:
    """Return what the list of commands and a command's help show besides its options."""
    shown = COMMANDS.get(name)
    return {"short_help": shown.about, "epilog": shown.epilog()} if shown else {}


def command(
    name: str, group: typer.Typer = app, **settings: Any
) -> Callable[[Callable[..., None]], None]:
    """Register a command, of a group or of its own; it gets the shared options besides its own."""

    def register(function: Callable[..., None]) -> None:
        told = texts(name) if group is app else {}
        group.command(name, **told, **settings)(with_shared_options(_interruptible(function)))

    return register


def _interruptible(function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> None:
        try:
            function(*arguments, **options)
        except KeyboardInterrupt:
            raise Interrupted from None

    return wrapper


def main() -> None:
    """Run the command line; errors end with their exit code, never with a traceback."""
    from envlock.cli import commands  # noqa: F401

    state = Context(output=Output())
    run(lambda: app(prog_name="envlock", obj=state, standalone_mode=False), state)
