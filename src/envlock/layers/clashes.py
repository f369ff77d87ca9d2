"""One owner for every path: artifacts may share a file only if it is the same one.

Within the OS layer ``layers.debtree`` sees to that; here it is about wheels, conda packages and the
environment's own files.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.files import disk_errors, verify_file
from envlock.layers.pack import environment_entries, fingerprint, installed_entries
from envlock.layers.plan import plan_layers, scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from envlock.layers.condafacts import CondaFacts
    from envlock.layers.scheme import Scheme
    from envlock.lock.model import Artifact, Lock

Owners = dict[str, tuple[tuple[int, int], str]]
"""By path: what tells equal files, and who installs it."""


def check_wheels(lock: Lock, paths: Mapping[str, Path]) -> Owners:
    """Return the files of wheels; raises ArtifactError if two differ at one path."""
    scheme = scheme_of(lock)
    owners: Owners = {
        entry.path: (fingerprint(entry), _ITSELF)
        for entry in environment_entries(plan_layers(lock)[-1])
        if entry.kind != "dir"
    }
    for wheel in lock.of_kind("pypi"):
        for file, mark in _marks(wheel, paths[wheel.sha256], scheme):
            claim(owners, file, mark, wheel.name)
    check_parents(owners)
    return owners


def check_conda(owners: Owners, packages: Sequence[CondaFacts]) -> None:
    """Raise ArtifactError if a conda package differs from another artifact at one path."""
    for facts in packages:
        for path, mark in conda_marks(facts):
            claim(owners, path, mark, facts.name)
    check_parents(owners)


def conda_marks(facts: CondaFacts) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield path and mark of each file and link of a conda package."""
    for path, node in facts.nodes.items():
        if node.kind == "symlink":
            yield path, (zlib.crc32(node.target.encode()), -2)
        elif node.kind != "dir":
            file = facts.nodes[node.target] if node.kind == "hardlink" else node
            yield path, (file.crc, file.size)


def claim(owners: Owners, path: str, mark: tuple[int, int], name: str) -> None:
    """Note that ``name`` installs ``path``; raises ArtifactError where another differs there."""
    known, owner = owners.setdefault(path, (mark, name))
    if known != mark:
        raise _same_path(owner, name, path)


def check_parents(owners: Owners) -> None:
    """Raise ArtifactError where one artifact's file is a folder of another."""
    for path, (_, name) in owners.items():
        for parent in _parents(path):
            if parent in owners:
                raise _below(owners[parent][1], parent, name, path)


_ITSELF = "the environment itself"
_GO = (
    "one of the two must go: a wheel by pypi.exclude, a conda package by asking for nothing that "
    "needs it; or choose other versions"
)


def _same_path(owner: str, other: str, file: str) -> ArtifactError:
    if owner == _ITSELF:
        return ArtifactError(f"{other} installs /{file}, a file of {_ITSELF}", hint=_leave(other))
    return ArtifactError(f"{owner} and {other} both install /{file}, and differently", hint=_GO)


def _below(owner: str, parent: str, other: str, path: str) -> ArtifactError:
    """Return the error for a file of ``other`` at ``path`` below ``owner``'s file ``parent``."""
    if owner == other:
        return ArtifactError(
            f"the wheel of {owner} is malformed: it installs /{parent} as a file, and /{path} "
            "below it",
            hint=_leave(owner),
        )
    if owner == _ITSELF:
        message = f"{other} installs /{path}, but /{parent} is no folder in {_ITSELF}"
        return ArtifactError(message, hint=_leave(other))
    if other == _ITSELF:
        message = f"{owner} installs the file /{parent}, which is a folder of {_ITSELF} (/{path})"
        return ArtifactError(message, hint=_leave(owner))
    return ArtifactError(
        f"{owner} installs the file /{parent}, and {other} the file /{path} below it", hint=_GO
    )


def _leave(name: str) -> str:
    return f"choose another version of {name}, or name it in pypi.exclude"


def _marks(wheel: Artifact, path: Path, scheme: Scheme) -> list[tuple[str, tuple[int, int]]]:
    """Return the path and the fingerprint of each file that a wheel installs."""
    with disk_errors(path), path.open("rb") as archive:
        try:
            entries = installed_entries(path, archive, scheme, wheel)
            return [(entry.path, fingerprint(entry)) for entry in entries]
        except ArtifactError:
            verify_file(path, wheel.sha256, wheel.size)  # damage explains more than its effect
            raise


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
