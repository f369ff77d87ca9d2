"""Installers besides pip that Dockerfiles run, and where their packages are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLS = frozenset({"pdm", "pipenv", "poetry"})
"""Distributions that are there to install others; an image needs them no more."""

_REQUIREMENTS = (
    "have {} write what it installs as a requirements.txt, and name that with --from, too"
)
_CONDA = "name its environment.yml with --from, too, or write its packages under conda.dependencies"
_INSTALLERS = {
    "conda": _CONDA,
    "mamba": _CONDA,
    "micromamba": _CONDA,
    "pdm": _REQUIREMENTS.format("pdm"),
    "pipenv": _REQUIREMENTS.format("pipenv"),
    "pixi": "name its pixi.toml with --from, too",
    "poetry": "name its pyproject.toml with --from, too",
    "uv": "name its uv.lock with --from, too",
}
_VERBS = frozenset({"add", "create", "env", "install", "sync", "update"})


def installs_otherwise(words: Sequence[str]) -> str | None:
    """Return what to do about a command that installs packages as no reader here understands.

    None for all other commands; those of pip are not meant here.
    """
    if len(words) > 2 and words[0].startswith("python") and words[1] == "-m":
        words = words[2:]
    advice = _INSTALLERS.get(words[0].rpartition("/")[2])
    verb = next((word for word in words[1:] if not word.startswith("-")), "")
    return advice if verb in _VERBS else None
