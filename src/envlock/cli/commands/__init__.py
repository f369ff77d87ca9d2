"""One command a module; importing this package registers them all."""

from envlock.cli.commands import schema, solve

__all__ = ["schema", "solve"]
