"""What the shell offers to complete."""

from __future__ import annotations

from pathlib import Path


def environments(incomplete: str) -> list[str]:
    """Return the environments of the project around the current folder."""
    from envlock.errors import EnvlockError
    from envlock.project import find_project

    try:
        names = find_project(Path.cwd()).names()
    except (EnvlockError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]
