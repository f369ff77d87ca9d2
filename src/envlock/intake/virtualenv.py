"""A virtual environment that is there: its ``*.dist-info`` folders (PEP 376, PEP 610, PEP 627).

Nothing of it is run.  What is installed against another one's pin becomes an override.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.errors import MessageError
from typing import TYPE_CHECKING

from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envlock.errors import Location, UsageError
from envlock.intake.draft import Draft, Forced, requirement
from envlock.intake.graph import roots
from envlock.platforms import PLATFORMS
from envlock.requirements import Installed, applying, check_requirements
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.intake.readers import Choices
    from envlock.requirements import Violation

_INSTALLERS = frozenset({"pip", "uv"})
_LIMIT = 16 * 1024 * 1024
_VERSION = re.compile(r"python(3\.\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A distribution; asked: somebody asked for it by name; url: it came from elsewhere."""

    installed: Installed
    asked: bool
    url: str | None

    @property
    def name(self) -> str:
        return canonicalize_name(self.installed.name)

    @property
    def where(self) -> str:
        return self.installed.location


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read the folder of a virtual environment; raises SpecError, UsageError."""
    folder = _site_packages(path, shown)
    python = _VERSION.search(folder.parent.name)
    assert python is not None
    draft = Draft(platforms=list(choices.platforms))
    draft.pythons.append((f"=={python[1]}.*", shown, False))
    found = [_read(info, shown) for info in sorted(folder.glob("*.dist-info"))]
    eggs = sorted(one.name for one in folder.glob("*.egg-*"))
    for egg in eggs:
        draft.note(shown, f"{egg} has no METADATA of a wheel, and is left out")
    mine = [one for one in found if one.url is None and one.name not in _INSTALLERS]
    for one in found:
        if one.url is not None:
            draft.note(one.where, f"{one.name} came from {redact(one.url)}, and not from an index")
    target = PLATFORMS[(choices.platforms or ("linux-64",))[0]]
    _carry(draft, mine, [one.installed for one in found], target.marker_environment(python[1]))
    return draft


def _site_packages(path: Path, shown: str) -> Path:
    folders = sorted(path.glob("lib/python3.*/site-packages"))
    if len(folders) != 1:
        raise UsageError(
            "this is no virtual environment: it has "
            + ("several Pythons" if folders else "no lib/python3.*/site-packages"),
            where=shown,
            hint="name the folder that python -m venv, virtualenv or uv venv made",
        )
    return folders[0]


def _read(info: Path, shown: str) -> _Found:
    where = f"{shown}/{info.name}"
    try:
        if (info / "METADATA").stat().st_size > _LIMIT:
            raise UsageError("its METADATA is larger than any", where=where)
        raw, _ = parse_email((info / "METADATA").read_bytes())
        name, version = raw["name"], raw["version"]
        Version(version)
    except (OSError, KeyError, MessageError, InvalidVersion):
        raise UsageError(
            "its METADATA cannot be read, or has no name and version",
            where=where,
            hint="install this package again, or remove the folder",
        ) from None
    installed = Installed(
        name=name, version=version, requires=tuple(raw.get("requires_dist", ())), location=where
    )
    return _Found(installed=installed, asked=(info / "REQUESTED").is_file(), url=_direct(info))


def _direct(info: Path) -> str | None:
    try:
        value = json.loads((info / "direct_url.json").read_bytes())
        return str(value["url"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _carry(
    draft: Draft,
    mine: Sequence[_Found],
    all_there: Sequence[Installed],
    environment: Mapping[str, str],
) -> None:
    """Pin everything: what was asked for as a dependency, all else as a constraint."""
    verdict = check_requirements(all_there, environment)
    draft.forced = _forced(mine, verdict.violations)
    forced = {one.package for one in draft.forced}
    for violation in verdict.violations:
        if violation.found is None:
            draft.note(
                violation.dependent,
                f"it requires {violation.requirement}, which is not there: the solve brings it, "
                "unless its name stands under pypi.exclude",
            )
    for line in verdict.malformed:
        draft.note("METADATA", line)
    depends = applying(all_there, environment)
    needs = {
        one.name: frozenset(canonicalize_name(Requirement(t).name) for t in depends[one.name])
        for one in mine
    }
    asked = {one.name for one in mine if one.asked} | roots(needs)
    for one in mine:
        if one.name in forced:
            continue
        location = Location(file=one.where, line=1, column=1)
        item = requirement(f"{one.name}=={one.installed.version}", location)
        (draft.pypi if one.name in asked else draft.pypi_constraints).append(item)
        if Version(one.installed.version).local:
            draft.note(
                one.where,
                f"{item.text} is a build of an index of its own: name that under indexes:",
            )


def _forced(mine: Sequence[_Found], violations: Sequence[Violation]) -> list[Forced]:
    by_name = {one.name: one for one in mine}
    against: dict[str, dict[str, str]] = {}
    for violation in violations:
        name = canonicalize_name(Requirement(violation.requirement).name)
        if violation.found is not None and name in by_name:
            pins = against.setdefault(name, {})
            pins[canonicalize_name(violation.dependent)] = violation.requirement
    return [
        Forced(
            package=name,
            version=by_name[name].installed.version,
            where=by_name[name].where,
            against=pins,
        )
        for name, pins in sorted(against.items())
    ]
