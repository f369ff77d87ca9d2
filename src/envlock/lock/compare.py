"""Two locks of one environment: what the newer one has otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.lock.check import differences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.lock.model import Artifact, Lock, LockedOverride


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package: what it was and what it is; None where it is not there.

    A package with one version on both sides was rebuilt: another file stands for it, or another
    publisher.
    """

    kind: str
    name: str
    old: Artifact | None
    new: Artifact | None

    @property
    def bytes(self) -> int:
        """By how many bytes the artifacts grow (or shrink, below zero)."""
        return (self.new.size if self.new else 0) - (self.old.size if self.old else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideChange:
    """An override that came, went, or does something else than before."""

    package: str
    old: LockedOverride | None
    new: LockedOverride | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWay:
    """A file that is not installed; path: below the prefix; kept: whose file is there instead."""

    path: str
    kept: str
    lost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs between two locks.

    spec: lines as ``solve --check`` shows them; size: bytes of all artifacts, before and after;
    fetched: bytes of the artifacts that only the new lock names; image, base: digests of the
    recorded image's manifest and of the base image's; clobbered: files that give way only in
    the old lock, and only in the new one.
    """

    packages: tuple[Change, ...]
    overrides: tuple[OverrideChange, ...]
    spec: tuple[str, ...]
    size: tuple[int, int]
    fetched: int
    image: tuple[str | None, str | None]
    base: tuple[str | None, str | None] = (None, None)
    clobbered: tuple[tuple[GivenWay, ...], tuple[GivenWay, ...]] = ((), ())

    def __bool__(self) -> bool:
        moved = self.image[0] != self.image[1] or self.base[0] != self.base[1]
        clobbered = any(self.clobbered)
        return bool(self.packages or self.overrides or self.spec or moved or clobbered)


def compare(old: Lock | None, new: Lock | None) -> Difference:
    """Return what ``new`` has otherwise than ``old``; None stands for no lock at all."""
    before, after = _artifacts(old), _artifacts(new)
    known = {artifact.sha256 for artifact in before.values()}
    lost, loses = (given_way(lock.artifacts if lock else ()) for lock in (old, new))
    return Difference(
        packages=tuple(
            Change(kind=key[0], name=key[1], old=before.get(key), new=after.get(key))
            for key in sorted({*before, *after})
            if _other(before.get(key), after.get(key))
        ),
        overrides=_overrides(old, new),
        spec=tuple(differences(new.spec, old)) if old and new else (),
        size=(_size(before.values()), _size(after.values())),
        fetched=_size(a for a in after.values() if a.sha256 not in known),
        image=(_digest(old), _digest(new)),
        base=(_base(old), _base(new)),
        clobbered=(
            tuple(one for one in lost if one not in loses),
            tuple(one for one in loses if one not in lost),
        ),
    )


def given_way(artifacts: Iterable[Artifact]) -> tuple[GivenWay, ...]:
    """Return the files of conda packages and wheels that are not installed."""
    return tuple(
        GivenWay(path=path, kept=keeper, lost=one.name)
        for one in artifacts
        for path, keeper in one.gives_way
    )


def _artifacts(lock: Lock | None) -> dict[tuple[str, str], Artifact]:
    return {(a.kind, a.name): a for a in lock.artifacts} if lock else {}


def _other(old: Artifact | None, new: Artifact | None) -> bool:
    return old is None or new is None or (old.sha256, old.attested) != (new.sha256, new.attested)


def _overrides(old: Lock | None, new: Lock | None) -> tuple[OverrideChange, ...]:
    before = {(one.package, one.kind): one for one in (old.overrides if old else ())}
    after = {(one.package, one.kind): one for one in (new.overrides if new else ())}
    return tuple(
        OverrideChange(package=key[0], old=before.get(key), new=after.get(key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    )


def _size(artifacts: Iterable[Artifact]) -> int:
    return sum(artifact.size for artifact in artifacts)


def _digest(lock: Lock | None) -> str | None:
    return lock.built.manifest if lock and lock.built else None


def _base(lock: Lock | None) -> str | None:
    return lock.base.manifest if lock and lock.base else None
