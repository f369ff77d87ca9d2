"""What channels have where they have nothing of what is asked for."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import FetchError
from envlock.platforms import PLATFORMS
from envlock.solve.conda.records import match_spec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rattler import MatchSpec, RepoDataRecord

    from envlock.solve.conda.solver import Rattler

_OLDEST, _NEWEST = 3, 5
"""Versions that a line tells, where there are more."""

_ALIKE = 0.75
"""How much of a name must be there for it to be a likely slip (difflib's ratio)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What there is instead: lines for the details of an error, and what to write."""

    lines: tuple[str, ...] = ()
    hint: str | None = None


def offer(rattler: Rattler, platform: str, name: str, bare: str) -> Offer:
    """Return what the channels have of a package of which nothing meets the match spec ``bare``.

    A channel that cannot be read any more has nothing to say.
    """
    try:
        found = rattler.records(platform, [name])
        if found:
            return _of_versions(found, match_spec(bare))
        return _of_names(rattler, platform, name)
    except FetchError:
        return Offer()


def _of_versions(found: list[tuple[str, RepoDataRecord]], spec: MatchSpec) -> Offer:
    name = found[0][1].name.normalized
    builds = [one for one in found if spec.build and _version_fits(spec, one[1])]
    lines = []
    for channel in dict.fromkeys(channel for channel, _ in found):
        records = [record for one, record in builds or found if one == channel]
        if records:
            lines.append(f"  {channel} has {name} {_told(records, builds=bool(builds))}")
    hint = None if builds else _inexact(spec, name, (record for _, record in found))
    return Offer(lines=tuple(lines), hint=hint)


def _version_fits(spec: MatchSpec, record: RepoDataRecord) -> bool:
    name = record.name.normalized
    return match_spec(f"{name} {spec.version}" if spec.version else name).matches(record)


def _told(records: list[RepoDataRecord], *, builds: bool) -> str:
    """Return versions, or builds of them, the newest last."""
    ordered = sorted(records, key=lambda record: (record.version, record.build_number))
    texts = [f"{one.version}={one.build}" if builds else str(one.version) for one in ordered]
    each = list(dict.fromkeys(texts))
    if len(each) > _OLDEST + _NEWEST:
        each[_OLDEST:-_NEWEST] = [f"({len(each) - _OLDEST - _NEWEST} more)"]
    return ", ".join(each)


def _inexact(spec: MatchSpec, name: str, records: Iterable[RepoDataRecord]) -> str | None:
    """Say that ``numpy 1.26`` is not ``numpy=1.26``, if that is what was meant."""
    version = spec.version or ""
    exact = version.removeprefix("==")
    if exact == version or not any(str(one.version).startswith(f"{exact}.") for one in records):
        return None
    build = f"={spec.build}" if spec.build else ""
    return f"that is version {exact} and no other: for any {exact}.x write {name}={exact}.*{build}"


def _of_names(rattler: Rattler, platform: str, name: str) -> Offer:
    others = [other for other in PLATFORMS if other != platform and rattler.records(other, [name])]
    if others:
        return Offer(hint=f"it is there for {', '.join(others)}, and not for {platform}")
    near = difflib.get_close_matches(name, rattler.names(platform), 3, _ALIKE)
    if near:
        return Offer(hint=f"did you mean {' or '.join(near)}?")
    return Offer(hint="a distribution of a package index stands under pypi.dependencies")
