"""Two descendants of one lock, joined: package by package, where that is unambiguous.

What a solver decided on one side only is taken as it is.  Where both sides solved for
themselves, nobody has seen the union: it is marked (``Lock.merged``) until a solve has looked at
it, which keeps every version that fits.  Standard library only.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from envlock.errors import LockError
from envlock.lock.model import AuditSection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from envlock.lock.model import (
        AcceptedBreakage,
        Artifact,
        DebianSection,
        Lock,
        LockedExclude,
        LockedOverride,
    )

    _Key = Callable[[Any], tuple[str, ...]]

_NAMED = frozenset({"dependencies", "constraints", "adds"})
"""Lists whose entries begin with a package's name, and say one thing about it."""

_SETS = frozenset({"accepts", "checks", "exclude", "packages"})
"""Lists whose entries stand for themselves."""

_UNSOLVED = frozenset({"checks", "description", "image"})
"""Keys of a spec that no solver looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A joined lock; conflicts: what both sides changed, one line each, taken from ours."""

    lock: Lock
    conflicts: tuple[str, ...]


def merge(base: Lock | None, ours: Lock, theirs: Lock) -> Merged:
    """Join two locks that come from ``base``, or from nothing.

    Raises LockError for locks of different environments or platforms.
    """
    if (ours.name, ours.platform) != (theirs.name, theirs.platform):
        raise LockError(
            f"{ours.name} {ours.platform} and {theirs.name} {theirs.platform} are locks of "
            "different environments"
        )
    join = _Join()
    wheels = join.keyed("", *(_artifacts(one) for one in (base, ours, theirs)), say=_versions)
    section, debs = join.one(
        "the Debian packages", *(_debian(one) for one in (base, ours, theirs)), say=_many
    )
    below = join.one(
        "the base image",
        *(one and one.base for one in (base, ours, theirs)),
        say=lambda one: one.manifest,
    )
    spec = join.spec("", *(one.spec if one else None for one in (base, ours, theirs)))
    derived = _Join()  # follows from the rest; the next solve says it anew
    lock = replace(
        ours,
        spec=spec,
        artifacts=tuple(sorted((*wheels.values(), *debs), key=_place)),
        debian=section,
        base=below,
        overrides=derived.items(
            _overrides, lambda one: (one.package, one.kind), base, ours, theirs
        ),
        excludes=derived.items(_excludes, lambda one: (one.package,), base, ours, theirs),
        audit=_audit(derived, base, ours, theirs),
        packer=derived.one("packer", *(one and one.packer for one in (base, ours, theirs))),
        built=None,
        merged=_joined(base, ours, theirs)
        or bool(derived.one("merged", *(bool(one and one.merged) for one in (base, ours, theirs)))),
    )
    recorded = (one for one in (ours, theirs) if one.image_inputs == lock.image_inputs)
    built = next((one.built for one in recorded if one.built is not None), None)
    return Merged(lock=replace(lock, built=built), conflicts=tuple(join.conflicts))


def _joined(base: Lock | None, ours: Lock, theirs: Lock) -> bool:
    """Tell whether both sides were solved to different ends, so that the union is new."""
    one, other = _solved(ours), _solved(theirs)
    return one != other and (base is None or _solved(base) not in (one, other))


def _solved(lock: Lock) -> tuple[Any, ...]:
    """Return what a solver was asked and what it answered."""
    asked = {key: value for key, value in lock.spec.items() if key not in _UNSOLVED}
    if "overrides" in asked:
        asked["overrides"] = [
            {key: value for key, value in one.items() if key not in _UNSOLVED}
            for one in asked["overrides"]
        ]
    answered = (lock.artifacts, lock.debian, lock.base, lock.overrides, lock.excludes, lock.packer)
    return (_text(asked), *answered)


@dataclass(slots=True)
class _Join:
    """Three-way choices; what cannot be chosen is noted, and ours is taken."""

    conflicts: list[str] = field(default_factory=list)

    def one(
        self, place: str, base: Any, ours: Any, theirs: Any, *, say: Callable[[Any], str] = str
    ) -> Any:
        """Return the side that changed; None stands for what is not there."""
        if _same(ours, theirs) or _same(theirs, base):
            return ours
        if not _same(ours, base):
            self.conflicts.append(
                f"{place}: {_told(ours, say)} in ours, {_told(theirs, say)} in theirs"
            )
            return ours
        return theirs

    def keyed(
        self,
        place: str,
        base: Mapping[Any, Any],
        ours: Mapping[Any, Any],
        theirs: Mapping[Any, Any],
        *,
        say: Callable[[Any], str] = str,
    ) -> dict[Any, Any]:
        """Join mappings, key by key; ours' keys first."""
        found = {}
        for key in dict.fromkeys([*ours, *theirs]):
            name = key if isinstance(key, str) else str(key[-1])
            sides = (base.get(key), ours.get(key), theirs.get(key))
            found[key] = self.one(f"{place}{name}", *sides, say=say)
        return {key: value for key, value in found.items() if value is not None}

    def items(
        self, part: Callable[[Lock | None], tuple[Any, ...]], about: _Key, *locks: Lock | None
    ) -> tuple[Any, ...]:
        """Join tuples: as one side has it where the other left it alone, else by key."""
        base, ours, theirs = map(part, locks)
        if theirs in (base, ours):
            return ours
        if ours == base:
            return theirs
        sides = ({about(item): item for item in side} for side in (base, ours, theirs))
        found = self.keyed("", *sides)
        return tuple(found[key] for key in sorted(found))

    def spec(self, place: str, base: Any, ours: Any, theirs: Any) -> Any:
        """Join values of spec sections: mappings by key, lists by what their entries are about."""
        if _same(ours, theirs) or _same(theirs, base):
            return ours
        if _same(ours, base):
            return theirs
        if isinstance(ours, dict) and isinstance(theirs, dict):
            before = base if isinstance(base, dict) else {}
            found = {}
            for key in sorted({*ours, *theirs}):
                inner = f"{place}.{key}" if place else key
                value = self.spec(inner, before.get(key), ours.get(key), theirs.get(key))
                if value is not None:
                    found[key] = value
            return found or None
        key = place.rpartition(".")[2]
        if place == "overrides":
            sides = [_grouped(one, _override_key) for one in (base, ours, theirs)]
            names = sorted({*sides[1], *sides[2]})
            listed = (self._override(name, *(side.get(name) for side in sides)) for name in names)
            return [one for one in listed if one is not None] or None
        if key in _NAMED | _SETS:
            about = _package if key in _NAMED else _text
            sides = [_grouped(one, about) for one in (base, ours, theirs)]
            joined = self.keyed(f"{place}: ", *sides, say=_listed)
            entries = [entry for group in joined.values() for entry in group]
            plain = all(isinstance(entry, str) for entry in entries)
            return (sorted(entries) if plain else entries) or None
        return self.one(place, base, ours, theirs)

    def _override(self, name: str, *sides: tuple[Any, ...] | None) -> Any:
        values = [side[0] if side else None for side in sides]
        if values[1] is None or values[2] is None:
            return self.one(f"overrides.{name}", *values, say=lambda _: "changed")
        return self.spec(f"overrides.{name}", *values)


def _told(value: Any, say: Callable[[Any], str]) -> str:
    return "gone" if value is None else say(value)


def _same(one: Any, other: Any) -> bool:
    """Tell whether both are the same; to Python 1 and true are equal."""
    return bool(one == other) and type(one) is type(other)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _package(entry: str) -> str:
    """Return the name that a requirement or a match spec begins with."""
    match = re.match(r"[\w.:/-]+", entry)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else entry


def _override_key(entry: dict[str, Any]) -> str:
    return f"{entry['package']} (from {entry.get('from', 'pypi')})"


def _grouped(entries: list[Any] | None, about: Callable[[Any], str]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for entry in entries or ():
        found[about(entry)] = (*found.get(about(entry), ()), entry)
    return found


def _listed(entries: Iterable[Any]) -> str:
    return ", ".join(entry if isinstance(entry, str) else _text(entry) for entry in entries)


def _place(artifact: Artifact) -> tuple[str, str, str]:
    return (artifact.kind, artifact.name, artifact.file)


def _artifacts(lock: Lock | None) -> dict[tuple[str, str], Artifact]:
    """Return conda packages and wheels, which are joined one by one."""
    artifacts = lock.artifacts if lock else ()
    return {(a.kind, a.name): a for a in artifacts if a.kind != "debian"}


def _versions(artifact: Artifact) -> str:
    return artifact.version


def _debian(lock: Lock | None) -> tuple[DebianSection | None, tuple[Artifact, ...]]:
    """Return the OS layer, which is one piece: its packages are of one moment of the archive."""
    return (lock.debian, lock.of_kind("debian")) if lock else (None, ())


def _many(layer: tuple[DebianSection | None, tuple[Artifact, ...]]) -> str:
    section, packages = layer
    dates = {index.date[:8] for index in section.indexes} if section else set()
    return f"{len(packages)}{f' of {max(dates)}' if dates else ''}"


def _overrides(lock: Lock | None) -> tuple[LockedOverride, ...]:
    return lock.overrides if lock else ()


def _excludes(lock: Lock | None) -> tuple[LockedExclude, ...]:
    return lock.excludes if lock else ()


def _accepted(lock: Lock | None) -> tuple[AcceptedBreakage, ...]:
    return lock.audit.accepted if lock and lock.audit else ()


def _audit(derived: _Join, *locks: Lock | None) -> AuditSection | None:
    """Return the joined audit; None where a side that counts was not audited."""
    if not derived.one("audit", *(bool(lock and lock.audit) for lock in locks)):
        return None
    found = derived.items(_accepted, lambda line: (line.override or "", line.pattern), *locks)
    return AuditSection(accepted=found)
