"""One command a module; importing this package registers them all."""

from envlock.cli.commands import build, run, schema, solve, validate

__all__ = ["build", "run", "schema", "solve", "validate"]
