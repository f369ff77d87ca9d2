"""The command ``envlock``: shared options, and how it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from envlock.cli.context import Context
from envlock.cli.output import Output
from envlock.errors import EnvlockError

app = typer.Typer(
    name="envlock",
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

        print(f"envlock {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    project: Annotated[
        Path, typer.Option(help="The project's folder, or one inside it.", file_okay=False)
    ] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print results for machines.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say only what is wrong.")] = False,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more.")] = 0,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options that every command takes."""
    output = Output(json=json, quiet=quiet, verbose=verbose)
    context.obj = Context(output=output, folder=project)


def main() -> None:
    """Run the command line; errors end with their exit code, never with a traceback."""
    from envlock.cli import commands  # noqa: F401

    output = Output(json="--json" in sys.argv[1:])
    try:
        app()
    except EnvlockError as error:
        output.error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        output.message("stopped; what was fetched so far is kept for the next run")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
