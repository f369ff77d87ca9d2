"""Options that every command takes, before its name or after it."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.complete import environments

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.cli.context import Context

JSON_HELP = "Print results for machines."
QUIET_HELP = "Say only what is wrong."
VERBOSE_HELP = "Say more."
PROJECT_HELP = "The project's folder, or one inside it."

Project = Annotated[
    Path | None,
    typer.Option(
        "--project", metavar="DIR", help=PROJECT_HELP, file_okay=False, show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help=QUIET_HELP)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help=VERBOSE_HELP)]

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="An environment.", autocompletion=environments)
]
NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Environments; all of envs/ by default.",
        autocompletion=environments,
    ),
]
PlatformOption = Annotated[
    str | None, typer.Option(metavar="PLATFORM", help="One of the locked platforms.")
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Use what is here already; ask no server.")
]
ArtifactMapOption = Annotated[
    Path | None,
    typer.Option(
        "--artifact-map",
        metavar="FILE",
        help="JSON: sha256 to local file, for artifacts that lie elsewhere.",
        dir_okay=False,
    ),
]
AllOption = Annotated[
    bool,
    typer.Option("--all", help="All of envs/, which is the default: to be plain in scripts."),
]

_SHARED = {
    "project": (Project, None),
    "json": (Json, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}


def with_shared_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command that takes the shared options, too, and applies them to its context."""

    @functools.wraps(function)
    def wrapper(context: typer.Context, **values: Any) -> None:
        shared = {name: values.pop(name) for name in _SHARED}
        state: Context = context.obj
        state.apply(**shared)
        function(context, **values)

    signature = inspect.signature(function, eval_str=True)
    more = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in _SHARED.items()
    ]
    parameters = [*signature.parameters.values(), *more]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {item.name: item.annotation for item in parameters}
    return wrapper
