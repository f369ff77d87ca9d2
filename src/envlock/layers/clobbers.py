"""Packages, or wheels, that put different files at one path, and whose file is kept.

The solve finds such paths (``envlock.solve.clobbers``), the spec says whose file is kept
(``conda.clobbers``, ``pypi.clobbers``), and the lock has each path that is left out of a package
or a wheel.  Here are the patterns, the words that ask for an entry, and the proof that what is
kept is there.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envlock.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from envlock.lock.model import Artifact

_WILD = re.compile(r"\*\*/?|\*|\?")
_MEANING = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
_FEW = 3
"""Paths of two packages that are written one by one; more of them by their common folder."""

_SHOWN = 10

Side = Literal["conda", "pypi"]
"""The section of a spec that packages are from: those of conda, or wheels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A path below the prefix at which packages differ; packages: their names."""

    path: str
    packages: tuple[str, ...]


def matcher(pattern: str) -> re.Pattern[str]:
    """Return what a pattern of paths matches whole.

    ``*`` and ``?`` stand for part of a name, ``**`` for folders as well.
    """
    found, at = "", 0
    for wild in _WILD.finditer(pattern):
        found += re.escape(pattern[at : wild.start()]) + _MEANING[wild[0]]
        at = wild.end()
    return re.compile(found + re.escape(pattern[at:]))


def told(clashes: Sequence[Clash], side: Side = "conda") -> str:
    """Return what is wrong, in a line."""
    names = sorted({name for clash in clashes for name in clash.packages})
    if len(clashes) > 1:
        put = "wheels install" if side == "pypi" else "conda packages put"
        return f"{put} different files at {len(clashes)} paths: {', '.join(names)}"
    return f"{' and '.join(names)} both install {clashes[0].path}, and differently"


def described(clashes: Sequence[Clash]) -> tuple[str, ...]:
    """Return a line for each of several clashes, up to a limit."""
    if len(clashes) == 1:
        return ()
    lines = [f"  {clash.path} ({', '.join(clash.packages)})" for clash in clashes[:_SHOWN]]
    more = len(clashes) - _SHOWN
    return (*lines, f"  and {more} more") if more > 0 else tuple(lines)


def remedy(clashes: Sequence[Clash], side: Side = "conda", *, asked: Collection[str] = ()) -> str:
    """Return what to write into the spec, as it can be pasted.

    asked: wheels that the spec asks for by name, which ``pypi.exclude`` cannot name.
    """
    lines = []
    for packages in sorted({clash.packages for clash in clashes}):
        paths = sorted({clash.path for clash in clashes if clash.packages == packages})
        for path in _patterns(paths):
            lines += [
                f"    - path: {path}",
                f"      keep: {packages[0]}    # or {' or '.join(packages[1:])}",
                "      because: <why that one is right>",
            ]
    entries = "\n".join(lines)
    if side == "conda":
        return f"choose other versions, or say whose file is kept:\nconda:\n  clobbers:\n{entries}"
    return f"{_without(clashes, asked)}say whose file is kept:\npypi:\n  clobbers:\n{entries}"


def _without(clashes: Sequence[Clash], asked: Collection[str]) -> str:
    """Return how to do without one of two wheels, up to the other way out."""
    names = sorted({name for clash in clashes for name in clash.packages})
    free = [name for name in names if name not in asked]
    if len(names) > 2 or not free:
        return "do without one of them, choose other versions, or "
    other = f"    # or {free[1]}" if free[1:] else ""
    return f"leave one of the two out:\npypi:\n  exclude: [{free[0]}]{other}\nor "


def _patterns(paths: list[str]) -> list[str]:
    """Return the paths, or where they are many the few folders in which they are."""
    if len(paths) <= _FEW:
        return paths
    folder = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    below: dict[str, list[str]] = {}
    for path in paths:
        below.setdefault(path[len(folder) :].lstrip("/").partition("/")[0], []).append(path)
    if len(below) == 1 or (folder and len(below) > _FEW):
        return [f"{folder}/**"] if folder else paths
    return [pattern for group in below.values() for pattern in _patterns(group)]


def check_kept(
    artifacts: Iterable[Artifact], paths: Mapping[str, Collection[str]], prefix: str
) -> None:
    """Raise ArtifactError where a file that others gave way to is not there.

    artifacts: those of one kind; paths: of each of them, by its name, relative to the root as
    ``prefix`` is.
    """
    for one in artifacts:
        for path, keeper in one.gives_way:
            if f"{prefix}/{path}" not in paths.get(keeper, ()):
                raise ArtifactError(
                    f"{path} of {one.name} gives way to that of {keeper}, which has no such file",
                    where=one.file,
                    hint="solve again",
                )
