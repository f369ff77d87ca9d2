"""The user's own folders, also for a user who has none."""

from __future__ import annotations

from pathlib import Path

from envlock.errors import UsageError

_NO_HOME = Path("/nonexistent")
"""Debian's word for the home of who has none."""


def home_folder() -> Path:
    """Return the user's home; where there is none, a folder that is not there.

    A process in a container may have a user that nobody knows, and no HOME.
    """
    try:
        return Path.home()
    except RuntimeError:
        return _NO_HOME


def user_config(program: str) -> Path:
    """Return where the user has a program's configuration, as XDG says; it need not be there."""
    import platformdirs

    try:
        return platformdirs.user_config_path(program)
    except RuntimeError:
        return _NO_HOME / ".config" / program


def user_cache() -> Path:
    """Return where the cache is if nobody says; raises UsageError where there is no home."""
    import platformdirs

    try:
        return platformdirs.user_cache_path("envlock")
    except RuntimeError:
        raise UsageError(
            "this user has no home, so there is no place for the cache",
            hint="set ENVLOCK_CACHE_DIR, or HOME",
        ) from None
