"""One owner for every path: artifacts may share a file only if it is the same one.

Within the OS layer ``layers.debtree`` sees to that; here it is about wheels, conda packages and the
environment's own files.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.files import disk_errors, verify_file
from envlock.layers.clobbers import Clash, check_kept, described, remedy, told
from envlock.layers.pack import environment_entries, fingerprint, installed_entries
from envlock.layers.plan import PREFIX, plan_layers, scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from envlock.layers.clobbers import Side
    from envlock.layers.condafacts import CondaFacts
    from envlock.layers.scheme import Scheme
    from envlock.lock.model import Artifact, Lock

Mark = tuple[int, int]
"""What tells equal files: CRC-32 and size; of a link -2 for the size."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who installs a file; kind: ``conda`` or ``pypi`` for what can give way to another's file."""

    name: str
    kind: str = ""


Owners = dict[str, tuple[Mark, Owner]]
"""By path: what tells equal files, and who installs it."""


def check_wheels(lock: Lock, paths: Mapping[str, Path]) -> Owners:
    """Return the files of wheels; raises ArtifactError if two differ at one path."""
    scheme = scheme_of(lock)
    owners: Owners = {
        entry.path: (fingerprint(entry), ITSELF)
        for entry in environment_entries(plan_layers(lock)[-1])
        if entry.kind != "dir"
    }
    wheels = lock.of_kind("pypi")
    marks = {wheel.name: _marks(wheel, paths[wheel.sha256], scheme) for wheel in wheels}
    claim_packages(owners, "pypi", marks.items(), PREFIX)
    check_parents(owners)
    check_wheels_kept(lock, marks, PREFIX)
    return owners


def claim_packages(
    owners: Owners,
    side: Side,
    packages: Iterable[tuple[str, Iterable[tuple[str, Mark]]]],
    prefix: str,
) -> None:
    """Note the files of wheels, or conda packages, by name.

    prefix: of the environment, as the paths have it.  Raises one ArtifactError for all paths at
    which they differ, and one for the first at which another kind of artifact differs.
    """
    found: dict[str, list[str]] = {}
    for name, marks in packages:
        me = Owner(name, side)
        for path, mark in marks:
            known, owner = owners.setdefault(path, (mark, me))
            if known == mark:
                continue
            if owner.kind != side or owner == me:
                raise _same_path(owner, me, path)
            found.setdefault(path, [owner.name]).append(name)
    if found:
        raise _differ(found, prefix, side)


def check_wheels_kept(
    lock: Lock, marks: Mapping[str, Iterable[tuple[str, Mark]]], prefix: str
) -> None:
    """Raise ArtifactError where a wheel's file that others gave way to is not there."""
    wheels = lock.of_kind("pypi")
    keepers = {keeper for wheel in wheels for _, keeper in wheel.gives_way}
    kept = {name: {path for path, _ in marks[name]} for name in keepers & marks.keys()}
    check_kept(wheels, kept, prefix)


def check_conda(owners: Owners, lock: Lock, packages: Sequence[CondaFacts]) -> None:
    """Raise ArtifactError if a conda package differs from another artifact at one path."""
    marks = ((facts.name, conda_marks(facts)) for facts in packages)
    claim_packages(owners, "conda", marks, PREFIX)
    check_parents(owners)
    check_kept(lock.of_kind("conda"), {facts.name: facts.nodes for facts in packages}, PREFIX)


def check_written(owners: Owners, written: CondaFacts) -> None:
    """Raise ArtifactError if what link scripts wrote differs from an artifact at one path."""
    for path, mark in conda_marks(written):
        claim(owners, path, mark, Owner(written.name))
    check_parents(owners)


def conda_marks(facts: CondaFacts) -> Iterator[tuple[str, Mark]]:
    """Yield path and mark of each file and link of a conda package."""
    for path, node in facts.nodes.items():
        if node.kind == "symlink":
            yield path, (zlib.crc32(node.target.encode()), -2)
        elif node.kind != "dir":
            file = facts.nodes[node.target] if node.kind == "hardlink" else node
            yield path, (file.crc, file.size)


def claim(owners: Owners, path: str, mark: Mark, me: Owner) -> None:
    """Note that ``me`` installs ``path``; raises ArtifactError where another differs there."""
    known, owner = owners.setdefault(path, (mark, me))
    if known != mark:
        raise _same_path(owner, me, path)


def check_parents(owners: Owners) -> None:
    """Raise ArtifactError where one artifact's file is a folder of another."""
    for path, (_, owner) in owners.items():
        for parent in _parents(path):
            if parent in owners:
                raise _below(owners[parent][1].name, parent, owner.name, path)


ITSELF = Owner("the environment itself")
_GO = (
    "one of the two must go: a wheel by pypi.exclude, a conda package by asking for nothing that "
    "needs it; or choose other versions"
)


def _same_path(owner: Owner, other: Owner, file: str) -> ArtifactError:
    if owner == ITSELF:
        message = f"{other.name} installs /{file}, a file of {ITSELF.name}"
        return ArtifactError(message, hint=_leave(other.name))
    message = f"{owner.name} and {other.name} both install /{file}, and differently"
    return ArtifactError(message, hint=_GO)


def _differ(found: Mapping[str, Sequence[str]], prefix: str, side: Side) -> ArtifactError:
    """Return one error for all paths at which wheels, or conda packages, differ."""
    clashes = [
        Clash(path=path.removeprefix(f"{prefix}/"), packages=tuple(names))
        for path, names in sorted(found.items())
    ]
    return ArtifactError(
        told(clashes, side), details=described(clashes), hint=remedy(clashes, side)
    )


def _below(owner: str, parent: str, other: str, path: str) -> ArtifactError:
    """Return the error for a file of ``other`` at ``path`` below ``owner``'s file ``parent``."""
    if owner == other:
        return ArtifactError(
            f"the wheel of {owner} is malformed: it installs /{parent} as a file, and /{path} "
            "below it",
            hint=_leave(owner),
        )
    if owner == ITSELF.name:
        message = f"{other} installs /{path}, but /{parent} is no folder in {owner}"
        return ArtifactError(message, hint=_leave(other))
    if other == ITSELF.name:
        message = f"{owner} installs the file /{parent}, which is a folder of {other} (/{path})"
        return ArtifactError(message, hint=_leave(owner))
    return ArtifactError(
        f"{owner} installs the file /{parent}, and {other} the file /{path} below it", hint=_GO
    )


def _leave(name: str) -> str:
    return f"choose another version of {name}, or name it in pypi.exclude"


def _marks(wheel: Artifact, path: Path, scheme: Scheme) -> list[tuple[str, Mark]]:
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
