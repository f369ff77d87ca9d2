"""``envlock schema``: the JSON Schema of specs."""

from __future__ import annotations

import typer

from envlock.cli.app import command


@command("schema")
def schema_command(context: typer.Context) -> None:  # noqa: ARG001
    """Print the JSON Schema of envs/*.yaml, for editors and checks."""
    from envlock.spec.schema import schema_text

    print(schema_text(), end="")
