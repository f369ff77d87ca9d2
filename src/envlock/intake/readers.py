"""Which files a spec can begin with.  One module a format, loaded when it is asked for."""

from __future__ import annotations

import difflib
import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from envlock.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.intake.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What is taken of a file that has more: platforms (all by default), extras, groups."""

    platforms: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Reader(Protocol):
    """The function ``read`` of a format's module; ``shown`` is the file's name in messages."""

    def __call__(self, path: Path, shown: str, choices: Choices) -> Draft:
        """Return what the file says; raises SpecError or UsageError with the place."""


KNOWN = (
    "environment.yml",
    "conda-lock.yml",
    "pyproject.toml",
    "pixi.toml",
    "requirements.txt",
    "Dockerfile",
    "uv.lock",
    "pylock.toml",
    "the folder of a virtual environment",
)
_PIPENV = "pipenv requirements > requirements.txt writes what is"
_SETUP = "uv pip compile {} -o requirements.txt writes what is"
_INSTEAD = {
    "Pipfile": _PIPENV,
    "Pipfile.lock": _PIPENV,
    "pdm.lock": "the pyproject.toml beside it is; or pdm export -o requirements.txt writes what is",
    "pixi.lock": "the pixi.toml beside it is; or pixi workspace export conda-environment writes an "
    "environment.yml",
    "poetry.lock": "the pyproject.toml beside it is; or poetry export -o requirements.txt writes "
    "the locked versions",
    "setup.cfg": _SETUP.format("setup.cfg"),
    "setup.py": _SETUP.format("setup.py"),
}
"""Files that say what is wanted and are not read, and what to name instead."""
_PYLOCK = re.compile(r"pylock\.(?:[^.]+\.)?toml")
_DOCKERFILE = re.compile(
    r"(?:Docker|Container)file(?:\..+)?|.+\.(?:Docker|Container)file", re.IGNORECASE
)
_LOCK = re.compile(r"^(?:package|metadata):", re.MULTILINE)
_WORKSPACE = re.compile(r"^\[workspace\]", re.MULTILINE)
_HEAD = 1024 * 1024


def read_file(path: Path, shown: str, choices: Choices) -> Draft:
    """Read one file in the format that its name and its first lines tell of.

    Raises SpecError or UsageError.
    """
    module = importlib.import_module(f"envlock.intake.{_format(path, shown)}")
    return cast("Reader", module.read)(path, shown, choices)


def _meant(path: Path) -> str | None:
    """Return a hint for a file that is not there: what its folder has of the like."""
    try:
        names = sorted(one.name for one in path.parent.iterdir())
    except OSError:
        return None
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / close[0]}?" if close else None


def _format(path: Path, shown: str) -> str:
    if path.is_dir():
        return "virtualenv"
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(
            f"the file cannot be read: {error.strerror}", where=shown, hint=_meant(path)
        ) from None
    if path.name in _INSTEAD:
        raise UsageError(f"{path.name} is not read", where=shown, hint=_INSTEAD[path.name])
    if path.suffix in (".yml", ".yaml"):
        return "conda_lock" if len(_LOCK.findall(head)) == 2 else "environment"
    if path.name == "uv.lock":
        return "uv_lock"
    if _PYLOCK.fullmatch(path.name):
        return "pylock"
    if _DOCKERFILE.fullmatch(path.name):
        return "dockerfile"
    if path.name == "pixi.toml" or (path.suffix == ".toml" and _WORKSPACE.search(head)):
        return "pixi"
    if path.suffix == ".toml":
        return "pyproject"
    if path.suffix in (".txt", ".in"):
        return "requirements"
    raise UsageError(
        "this kind of file is not known", where=shown, hint=f"known are: {', '.join(KNOWN)}"
    )
