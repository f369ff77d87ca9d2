"""What the shell offers to complete."""

from __future__ import annotations

from pathlib import Path

import typer


def environments(incomplete: str) -> list[str]:
    """Return the environments of the project around the current folder."""
    from envlock.errors import EnvlockError
    from envlock.project import find_project

    try:
        names = find_project(Path.cwd()).names()
    except (EnvlockError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def packages(context: typer.Context, incomplete: str) -> list[str]:
    """Return the packages that the environment before the word is locked with, on any platform."""
    from envlock.errors import EnvlockError
    from envlock.lock.codec import load_lock
    from envlock.project import find_project

    name = str(context.params.get("name"))
    try:
        project = find_project(Path.cwd())
        locks = [load_lock(project.lock(name, one)) for one in project.locked_platforms(name)]
    except (EnvlockError, OSError):
        return []
    found = {artifact.name for lock in locks for artifact in lock.artifacts}
    return sorted(one for one in found if one.startswith(incomplete))
