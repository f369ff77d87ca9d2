"""A project on disk: ``envs/``, ``locks/`` and ``build/`` below one folder."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import LockError, UsageError
from envlock.platforms import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NAME_RULE = "a name has up to 64 lower case letters, digits, '.', '_' and '-'"
_LONGEST = 64
"""Characters of a name, as the specs' schema has it."""

_FILE = re.compile(r"\.(?:ya?ml|lock\.json)$")
_PLATFORM_ENDS = tuple(f".{platform}" for platform in PLATFORMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where the files of a project are; see docs/reference/files.md."""

    root: Path

    def names(self) -> list[str]:
        """Return the environments that have a spec, sorted."""
        files = (self.root / "envs").glob("[!.]*.yaml")  # editors leave hidden ones
        return sorted(path.stem for path in files if path.is_file())

    def spec(self, name: str) -> Path:
        """Return the spec's path; raises UsageError if there is none."""
        self._check(name)
        path = self.root / "envs" / f"{name}.yaml"
        if path.is_file():
            return path
        if path.with_name(f"{name}.yml").is_file():
            raise UsageError(
                f"there is no envs/{name}.yaml, but envs/{name}.yml",
                hint=f"rename it: mv envs/{name}.yml envs/{name}.yaml",
            )
        if path.is_symlink():
            raise UsageError("this link leads to no file", where=f"envs/{name}.yaml")
        hint = self._meant(name) or f"there are: {', '.join(self.names()) or 'none'}"
        raise UsageError(f"there is no environment {name!r} (envs/{name}.yaml)", hint=hint)

    def _check(self, name: str) -> None:
        """Raise UsageError for what cannot be the name of an environment."""
        if name.endswith(_PLATFORM_ENDS) and name in self.names():
            raise UsageError(
                f"{name!r} is no name of an environment: build/{name} is where the image of "
                f"{name.rpartition('.')[0]} for that platform would be",
                where=f"envs/{name}.yaml",
                hint="rename the file, and the name in it",
            )
        if _NAME.fullmatch(name) and len(name) <= _LONGEST:
            return
        if name in self.names():
            raise UsageError(
                f"{name!r} is no name of an environment",
                where=f"envs/{name}.yaml",
                hint=f"rename the file: {NAME_RULE}",
            )
        shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
        raise UsageError(
            f"{shown!r} is no name of an environment", hint=self._meant(name) or NAME_RULE
        )

    def _meant(self, name: str) -> str | None:
        """Return a hint for a file, or another spelling, instead of an environment's name."""
        names = self.names()
        bare = _FILE.sub("", name.rpartition("/")[2])
        bare = next((bare[: -len(end)] for end in _PLATFORM_ENDS if bare.endswith(end)), bare)
        for known in names:
            if known.casefold() == bare.casefold():
                return f"did you mean {known}?"
        close = difflib.get_close_matches(bare, names, n=1)
        return f"did you mean {close[0]}?" if close else None

    def lock(self, name: str, platform: str) -> Path:
        """Return where the lock is or will be."""
        return self.root / "locks" / f"{name}.{platform}.lock.json"

    def locked_platforms(self, name: str) -> list[str]:
        """Return the platforms an environment is locked for; raises LockError for none."""
        self._check(name)
        platforms = [known for known in sorted(PLATFORMS) if self.lock(name, known).exists()]
        if not platforms:
            self.spec(name)
            raise LockError(
                f"{name} is not locked", hint=f"run envlock solve {name}, and check the lock in"
            )
        return platforms

    def image(self, name: str, platform: str | None = None) -> Path:
        """Return where ``envlock build`` puts the image, an OCI layout.

        That is ``build/NAME`` for the platform that is built when none is asked for, and
        ``build/NAME.PLATFORM`` for another one, so that neither takes the other's place.
        """
        locked = [known for known in PLATFORMS if self.lock(name, known).exists()]
        usual = platform is None or len(locked) < 2 or platform == usual_platform(locked)
        return self.root / "build" / (name if usual else f"{name}.{platform}")

    def shown(self, path: Path) -> str:
        """Return a path as messages name it: relative to the project where it is inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def usual_platform(locked: Sequence[str]) -> str:
    """Return which of the platforms of an environment is taken when none is asked for."""
    return locked[0] if len(locked) == 1 else "linux-64"


def find_project(start: Path) -> Project:
    """Return the project around ``start``: the nearest folder that has ``envs/``.

    Raises UsageError.
    """
    if not start.is_dir():
        raise UsageError("there is no such folder", where=str(start), hint="--project names it")
    for folder in (start, *start.parents):
        if (folder / "envs").is_dir():
            return Project(root=folder)
    raise UsageError(
        f"there is no envs/ folder in {start} or above it",
        hint="envlock init begins a project here; or go to one, or name it with --project",
    )
