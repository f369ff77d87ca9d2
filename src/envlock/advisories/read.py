"""Read advisories: one JSON file, a folder of them, or the zip that a database gives out.

The OSV schema, https://ossf.github.io/osv-schema/.  A file is an advisory or a list of them.
Nothing is unpacked to the disk.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.advisories.model import Advisories, Advisory, Affected, Event
from envlock.errors import UsageError
from envlock.layers.zipcontent import BROKEN_ZIP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIMIT = 64 << 20
"""Bytes of one file of advisories; the largest single ones have 1 MB."""

_ECOSYSTEMS = ("PyPI", "Debian")
_VERSIONED = {"ECOSYSTEM", "SEMVER"}


def read_advisories(path: Path) -> Advisories:
    """Return what a file, a folder or a zip holds; raises UsageError, naming file and reason."""
    found: dict[str, Advisory] = {}
    notes: list[str] = []
    read = 0
    for shown, data in _files(path):
        for value in _values(shown, data):
            read += 1
            try:
                advisory = _advisory(value)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise _malformed(shown, error) from None
            if advisory is not None:
                found[advisory.id] = advisory
    if not read:
        raise UsageError(
            "there is no advisory in it",
            where=str(path),
            hint="name a JSON file in the OSV format, a folder of such files, or a zip of them",
        )
    if not found:
        notes.append(f"none of {read} advisories is about {' or '.join(_ECOSYSTEMS)}")
    ordered = tuple(found[key] for key in sorted(found))
    return Advisories(found=ordered, read=read, notes=tuple(notes))


def _malformed(shown: str, error: Exception) -> UsageError:
    reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return UsageError(
        f"this is no advisory in the OSV format: {reason}",
        where=shown,
        hint="mend or remove the file; an advisory that cannot be read is not left out in silence",
    )


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name for errors, content), in the order of names."""
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*.json")):
                if file.is_file():
                    yield str(file), _limited(str(file), file.stat().st_size, file.read_bytes)
        elif zipfile.is_zipfile(path):
            yield from _members(path)
        elif path.is_file():
            yield str(path), _limited(str(path), path.stat().st_size, path.read_bytes)
        else:
            raise UsageError("there is no such file or folder", where=str(path))
    except BROKEN_ZIP as error:
        raise UsageError(f"the advisories cannot be read: {error}", where=str(path)) from None


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            shown = f"{path}: {info.filename}"
            if info.filename.endswith(".json"):
                # zipfile stops at the size that the directory tells, which is checked first
                yield shown, _limited(shown, info.file_size, lambda i=info: archive.read(i))


def _limited(shown: str, size: int, read: Any) -> bytes:
    if size > _LIMIT:
        raise UsageError(f"more than {_LIMIT >> 20} MB in one file of advisories", where=shown)
    data: bytes = read()
    return data


def _values(shown: str, data: bytes) -> list[dict[str, Any]]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is no JSON: {error}", where=shown) from None
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in values):
        raise _malformed(shown, TypeError("an advisory is a mapping"))
    return values


def _advisory(value: dict[str, Any]) -> Advisory | None:
    """Return an advisory; None for one that was withdrawn or is about something else."""
    name = _text(value["id"])
    if value.get("withdrawn"):
        return None
    affected = tuple(
        one for item in value.get("affected") or () if (one := _affected(item)) is not None
    )
    if not affected:
        return None
    return Advisory(
        id=name,
        aliases=_aliases(value),
        summary=" ".join(_text(value.get("summary") or "").split())
        or _first_line(value.get("details")),
        severity=_severity(value),
        affected=affected,
    )


def _aliases(value: dict[str, Any]) -> tuple[str, ...]:
    """Return the other names; Debian's single CVEs name theirs as ``upstream``.

    An advisory with several of those bundles different vulnerabilities and is none of them.
    """
    upstream = value.get("upstream") or ()
    names = [*(value.get("aliases") or ()), *(upstream if len(upstream) == 1 else ())]
    return tuple(_text(name) for name in names)


def _affected(item: dict[str, Any]) -> Affected | None:
    package = item.get("package")
    if package is None:  # about commits of a repository only
        return None
    ecosystem = _text(package["ecosystem"])
    if ecosystem.partition(":")[0] not in _ECOSYSTEMS:
        return None
    name = _text(package["name"])
    ranges = tuple(
        tuple(_events(found["events"]))
        for found in item.get("ranges") or ()
        if found["type"] in _VERSIONED
    )
    return Affected(
        ecosystem=ecosystem,
        name=str(canonicalize_name(name)) if ecosystem == "PyPI" else name,
        versions=tuple(_text(version) for version in item.get("versions") or ()),
        ranges=ranges,
    )


def _events(events: list[dict[str, Any]]) -> Iterator[Event]:
    for event in events:
        for kind in ("introduced", "fixed", "last_affected"):
            if kind in event:
                yield Event(kind, _text(event[kind]))


def _severity(value: dict[str, Any]) -> str | None:
    """Return the word that the database uses; a CVSS vector is not computed here."""
    places = [value.get("database_specific")]
    places += [item.get("ecosystem_specific") for item in value.get("affected") or ()]
    for place in places:
        for key in ("severity", "urgency"):
            word = place.get(key) if isinstance(place, dict) else None
            if isinstance(word, str) and word and word != "not yet assigned":
                return word.lower()
    return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _first_line(details: object) -> str:
    lines = details.strip().splitlines() if isinstance(details, str) else []
    return " ".join(lines[0].split())[:200] if lines else ""
