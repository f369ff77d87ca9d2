"""``envlock schema``: the JSON Schemas of specs, of locks, and of what ``--json`` prints."""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import typer

from envlock.cli.app import command
from envlock.errors import UsageError

_SPEC = "spec"


def _documents() -> dict[str, str]:
    """Return the schemas' texts: ``lock``, and by the command whose ``--json`` they describe."""
    folder = resources.files("envlock.cli") / "schemas"
    return {
        item.name.removesuffix(".json"): item.read_text("utf-8")
        for item in folder.iterdir()
        if item.name.endswith(".json")
    }


def _complete(incomplete: str) -> list[str]:
    names = (_SPEC, *sorted(_documents()))
    return [name for name in names if name.startswith(incomplete)]


@command("schema")
def schema_command(
    context: typer.Context,  # noqa: ARG001
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="spec, lock, or a command whose --json is described.",
            autocompletion=_complete,
        ),
    ] = _SPEC,
) -> None:
    """Print a JSON Schema: of envs/*.yaml, for editors and checks, of locks, or of --json."""
    from envlock.spec.schema import schema_text

    if what == _SPEC:
        print(schema_text(), end="")
        return
    documents = _documents()
    if what not in documents:
        known = ", ".join((_SPEC, *sorted(documents)))
        raise UsageError(f"there is no schema of {what!r}", hint=f"there are: {known}")
    print(documents[what], end="")
