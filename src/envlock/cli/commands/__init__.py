"""One command a module; importing this package registers them all."""

from envlock.cli.commands import (
    audit,
    build,
    bundle,
    diff,
    export,
    init,
    install,
    listing,
    nix_seed,
    outdated,
    report,
    run,
    schema,
    solve,
    validate,
    why,
)

__all__ = [
    "audit",
    "build",
    "bundle",
    "diff",
    "export",
    "init",
    "install",
    "listing",
    "nix_seed",
    "outdated",
    "report",
    "run",
    "schema",
    "solve",
    "validate",
    "why",
]
