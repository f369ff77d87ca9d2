"""``envlock schema``: the JSON Schema of specs."""

from __future__ import annotations

from envlock.cli.app import app


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of envs/*.yaml, for editors and checks."""
    from envlock.spec.schema import schema_text

    print(schema_text(), end="")
