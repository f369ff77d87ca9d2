"""``conda-lock.yml`` in version 1, written through conda-lock's own models.

That format demands a URL for every package and an md5 for every conda package; it has no
place for sizes, ``constrains``, Debian packages or the image.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.errors import UsageError
from envlock.exchange.formats import Export
from envlock.exchange.order import channels_of, left_out, split_entry
from envlock.exchange.places import variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.exchange.formats import Subject
    from envlock.exchange.places import Places
    from envlock.lock.model import Artifact, Lock

_HEAD = """\
# Written by envlock from the locks of {name}. Do not edit: change envs/{name}.yaml, solve
# and export again. To install it: conda-lock install -n {name} FILE
"""


def export(subject: Subject) -> Export:
    """Write the environment's locks as one file; see :class:`envlock.exchange.formats.Exporter`."""
    from conda_lock.lockfile import write_conda_lock_file
    from conda_lock.lockfile.v1.models import LockedDependency, Lockfile
    from conda_lock.lockfile.v2prelim.models import lockfile_v1_to_v2

    for lock in subject.locks:
        _check_owners(lock)
    packages = [
        LockedDependency(platform=lock.platform, category="main", optional=False, **block)
        for lock in subject.locks
        for block in _blocks(lock, subject.places)
    ]
    content = lockfile_v1_to_v2(Lockfile(package=packages, metadata=_metadata(subject)))
    with tempfile.TemporaryDirectory(prefix="envlock-") as folder:
        path = Path(folder) / "conda-lock.yml"
        write_conda_lock_file(content, path, None, include_help_text=False)
        text = path.read_text()
    return Export(text=_HEAD.format(name=subject.name) + text, notes=tuple(_notes(subject)))


def _metadata(subject: Subject) -> Any:
    from conda_lock.lockfile.v1.models import LockMeta
    from conda_lock.models.channel import Channel

    names = channels_of(subject.locks)
    overrides = _overrides(subject.locks)
    return LockMeta(
        content_hash={lock.platform: lock.input.removeprefix("sha256:") for lock in subject.locks},
        channels=[
            Channel(
                url=subject.places.channel(name),
                used_env_vars=(variable(name),) if subject.places.variables else (),
            )
            for name in names
        ],
        platforms=[lock.platform for lock in subject.locks],
        sources=[f"envs/{subject.name}.yaml"],
        **({"custom_metadata": overrides} if overrides else {}),
    )


def _overrides(locks: tuple[Lock, ...]) -> dict[str, str]:
    """Return what overrides voided: the one place where version 1 takes free text."""
    return {
        f"override {override.package} {override.version} {lock.platform}": "; ".join(
            f"voids {void.dependent} {void.version} -> {void.requirement}"
            for void in override.voids
        )
        for lock in locks
        for override in lock.overrides
    }


def _check_owners(lock: Lock) -> None:
    """Refuse what version 1 can only say by naming one distribution twice."""
    for override in lock.overrides:
        if override.replaces:
            raise UsageError(
                f"{lock.platform}: the wheel {override.package} {override.version} takes the "
                f"place of the one in the conda package {override.replaces}, and a conda-lock "
                "file would install both",
                hint="override the conda package itself (from: conda), or install by envlock",
            )


def _blocks(lock: Lock, places: Places) -> Iterator[dict[str, Any]]:
    for artifact in lock.of_kind("conda"):
        yield {
            "manager": "conda",
            "name": artifact.name,
            "version": artifact.version,
            "dependencies": _entries(artifact),
            "url": places.url(artifact),
            "hash": {"md5": places.md5(artifact), "sha256": artifact.sha256},
        }
    for artifact in lock.of_kind("pypi"):
        yield {
            "manager": "pip",
            "name": artifact.name,
            "version": artifact.version,
            "dependencies": _requirements(artifact),
            "url": places.url(artifact),
            "hash": {"sha256": artifact.sha256},
        }


def _entries(artifact: Artifact) -> dict[str, str]:
    """Return a conda package's ``depends`` by name; several entries on one are joined."""
    found: dict[str, list[str]] = {}
    for entry in artifact.depends:
        name, rest = split_entry(entry)
        found.setdefault(name, []).extend([rest] if rest else [])
    return {name: ",".join(rests) for name, rests in found.items()}


def _requirements(artifact: Artifact) -> dict[str, str]:
    from packaging.utils import canonicalize_name

    from envlock.requirements import locked_requirement

    found: dict[str, list[str]] = {}
    for text in artifact.depends:
        requirement = locked_requirement(text)
        wanted = found.setdefault(canonicalize_name(requirement.name), [])
        if requirement.specifier:
            wanted.append(str(requirement.specifier))
    return {name: ",".join(sorted(set(wanted))) or "*" for name, wanted in found.items()}


def _notes(subject: Subject) -> Iterator[str]:
    for lock in subject.locks:
        yield from left_out(lock)
        if lock.of_kind("pypi") and all(one.name != "python" for one in lock.of_kind("conda")):
            origin = "the base image" if lock.base is not None else "Debian"
            yield (
                f"{lock.name} {lock.platform}: Python comes from {origin}, so the file has none "
                "for its wheels; ask for python in conda.dependencies"
            )
    if subject.places.used:
        names = ", ".join(sorted(subject.places.used))
        yield f"set {names} where the file is used"
