"""One command a module; importing this package registers them all."""

from envlock.cli.commands import audit, build, nix_seed, run, schema, solve, validate

__all__ = ["audit", "build", "nix_seed", "run", "schema", "solve", "validate"]
