"""``pylock.toml`` (PEP 751), read by packaging: its versions become exact pins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.pylock import (
    Pylock,
    PylockUnsupportedVersionError,
    PylockValidationError,
)

from envlock.errors import Location, SpecError
from envlock.intake.draft import Draft, requirement
from envlock.intake.toml_text import at_package, read_toml
from envlock.platforms import PLATFORMS
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.pylock import Package

    from envlock.intake.readers import Choices


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read a lock file of PEP 751; raises SpecError, UsageError."""
    table, lines = read_toml(path, shown)
    try:
        lock = Pylock.from_dict(table)
    except (PylockValidationError, PylockUnsupportedVersionError) as error:
        raise SpecError(
            f"this is not what PEP 751 describes: {error}",
            location=Location(file=shown, line=1, column=1),
        ) from None
    draft = Draft(platforms=list(choices.platforms))
    if lock.requires_python is not None:
        draft.pythons.append((str(lock.requires_python), shown, False))
    environments = [
        PLATFORMS[name].marker_environment(_python(lock))
        for name in draft.platforms or ["linux-64"]
    ]
    needed = {
        str(dependency["name"])
        for package in lock.packages
        for dependency in package.dependencies or ()
        if "name" in dependency
    }
    for package in lock.packages:
        location = at_package(lines, package.name, shown)
        if any(_applies(package, environment) for environment in environments):
            _take(draft, package, location, asked=package.name not in needed)
    return draft


def _python(lock: Pylock) -> str:
    """Return a Python whose markers are asked: the oldest that envlock knows a suite for."""
    wanted = lock.requires_python
    known = ("3.11", "3.12", "3.13", "3.10", "3.14")
    return next((one for one in known if wanted is None or wanted.contains(f"{one}.40")), "3.11")


def _applies(package: Package, environment: Mapping[str, str]) -> bool:
    """Tell whether a package is for an environment; extras and groups are none here."""
    if package.marker is None:
        return True
    return package.marker.evaluate(
        {**environment, "extras": frozenset(), "dependency_groups": frozenset()},
        context="lock_file",
    )


def _take(draft: Draft, package: Package, location: Location, *, asked: bool) -> None:
    source = package.vcs or package.directory or package.archive
    if source is not None or package.version is None:
        url = getattr(source, "url", None) or getattr(source, "path", None) or "elsewhere"
        draft.note(location, f"{package.name} comes from {redact(url)}, and not from an index")
        return
    if not package.wheels:
        draft.note(location, f"{package.name} has no wheel there, and nothing is built from source")
    item = requirement(f"{package.name}=={package.version}", location)
    (draft.pypi if asked else draft.pypi_constraints).append(item)
