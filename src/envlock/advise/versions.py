"""Which versions of a distribution the solver could take on a target, newest first.

As uv takes them: wheels whose tags and ``Requires-Python`` fit (PEP 425, 345), nothing that
is yanked (PEP 592), nothing uploaded after ``exclude-newer`` (or without an upload time
where that is given), and pre-releases only where there is nothing else (PEP 440) or the one
in use is one.
"""

from __future__ import annotations

from datetime import UTC
from itertools import zip_longest
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from typing import Protocol

    from packaging.tags import Tag

    class File(Protocol):
        """A file of an index's project page (PEP 691, 700)."""

        @property
        def filename(self) -> str: ...
        @property
        def requires_python(self) -> str | None: ...
        @property
        def is_yanked(self) -> bool | None: ...
        @property
        def upload_time(self) -> datetime | None: ...


def usable_versions(
    files: Iterable[File],
    tags: Sequence[Tag],
    python: str,
    *,
    exclude_newer: datetime | None = None,
    current: str | None = None,
) -> list[str]:
    """Return versions, newest first; ``current`` is the one in use."""
    taken = frozenset(tags)
    found: set[Version] = set()
    for file in files:
        try:
            _, version, _, wheel_tags = parse_wheel_filename(file.filename)
        except InvalidWheelFilename:
            continue
        if (
            not taken.isdisjoint(wheel_tags)
            and not file.is_yanked
            and _takes(file.requires_python, python)
            and _early(file.upload_time, exclude_newer)
        ):
            found.add(version)
    finals = {version for version in found if not version.is_prerelease}
    pre = current is not None and Version(current).is_prerelease
    chosen = found if pre or not finals else finals
    return [str(version) for version in sorted(chosen, reverse=True)]


def chosen_versions(versions: Sequence[str], current: str, limit: int) -> tuple[list[str], int]:
    """Return at most ``limit`` of other versions, newest first, and how many are left out.

    Where there are more, a third are the newest, a third those nearest to ``current``, and the
    rest the last ones of other major and minor release series, on both sides 1, 2, 4, 8 ...
    series away: what was dropped or mended some series ago is not hidden behind a row of
    patch releases.
    """
    here = Version(current)
    others = [version for version in versions if Version(version) != here]
    if len(others) <= limit:
        return others, 0
    place = sum(Version(version) > here for version in others)
    nearest = sorted(range(len(others)), key=lambda n: (abs(n - place + 0.6), n))
    third = limit // 3
    near = [others[n] for n in nearest]
    order = [*near[: limit - 2 * third], *others[:third], *_strides(others, here), *near]
    wanted = list(dict.fromkeys(order))[:limit]
    return [version for version in others if version in wanted], len(others) - limit


def _strides(others: Sequence[str], here: Version) -> list[str]:
    """Return the last versions of other major and minor series, in turns, nearest first."""
    majors = _last_ones(others, here, lambda version: (version.epoch, version.major))
    minors = _last_ones(others, here, lambda version: (version.epoch, *version.release[:2]))
    turns = [version for pair in zip_longest(minors, majors) for version in pair]
    return [version for version in dict.fromkeys(turns) if version is not None]


def _last_ones(
    others: Sequence[str], here: Version, series_of: Callable[[Version], tuple[int, ...]]
) -> list[str]:
    """Return the last versions of other series: those 1, 2, 4, 8 ... away, then the rest."""
    newest: dict[tuple[int, ...], str] = {}
    for version in others:  # newest first
        newest.setdefault(series_of(Version(version)), version)
    below = [series for series in newest if series < series_of(here)]
    above = sorted(series for series in newest if series > series_of(here))
    found = []
    stride = 1
    while stride <= max(len(below), len(above)):
        found += [side[stride - 1] for side in (below, above) if stride <= len(side)]
        stride *= 2
    found += [series for pair in zip_longest(below, above) for series in pair if series is not None]
    return [newest[series] for series in dict.fromkeys(found)]


def distance(versions: Sequence[str], one: str, other: str) -> int:
    """Return how many of ``versions`` lie between two."""
    low, high = sorted((Version(one), Version(other)))
    return sum(low < Version(version) <= high for version in versions)


def _takes(requires_python: str | None, python: str) -> bool:
    if not requires_python:
        return True
    try:
        return SpecifierSet(requires_python).contains(f"{python}.0")
    except InvalidSpecifier:
        return False


def _early(uploaded: datetime | None, exclude_newer: datetime | None) -> bool:
    if exclude_newer is None:
        return True
    if uploaded is None:
        return False
    moment = uploaded if uploaded.tzinfo else uploaded.replace(tzinfo=UTC)
    return moment < exclude_newer
