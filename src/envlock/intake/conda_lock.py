"""``conda-lock.yml`` in version 1: its versions become exact pins.

The file does not say what was asked for.  Packages that no other one needs become
dependencies, all others constraints, so that the same set follows from both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.errors import Location, SpecError, UsageError
from envlock.intake.channels import add_channel
from envlock.intake.draft import Draft, Forced, Item
from envlock.intake.graph import roots
from envlock.platforms import PLATFORMS
from envlock.spec.document import Limits, read_document
from envlock.urls import carries_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from envlock.intake.readers import Choices
    from envlock.spec.document import Document

_LIMITS = Limits(what="conda-lock file", size=64 * 2**20, values=4_000_000)
_CUDA = frozenset({"cuda-version", "cudatoolkit", "pytorch-cuda"})
"""Packages whose version is that of CUDA."""

_OVERRIDE = re.compile(r"override (?P<package>\S+) (?P<version>\S+) (?P<platform>\S+)")
_VOIDS = re.compile(r"voids (?P<dependent>\S+) \S+ -> (?P<requirement>.+)")
"""What ``envlock export`` writes into a file's own metadata, and where it is read back."""

_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")
_FILE = re.compile(r"(?P<base>.+)/[^/]+/[^/]+-(?P<build>[^-/]+)\.(?:conda|tar\.bz2)(?:#.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    """One package on one platform; build and base (its channel's URL) for conda's."""

    manager: str
    name: str
    version: str
    platform: str
    needs: frozenset[str]
    build: str
    base: str
    location: Location


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read a lock file of conda-lock; raises SpecError, UsageError."""
    document = read_document(path, shown, _LIMITS)
    _check_version(document)
    _check_secrets(document)
    _check_model(document)
    packages = _packages(document, choices)
    platforms = _platforms(packages, choices, shown)
    packages = [one for one in packages if one.platform in platforms]
    _check_owners(packages)
    draft = Draft(platforms=platforms)
    for n, channel in enumerate(document.value["metadata"]["channels"]):
        url = channel if isinstance(channel, str) else channel["url"]
        add_channel(draft, url, document.mark(("metadata", "channels", n)).value)
    _left_out(draft, document, platforms)
    _conda(draft, [one for one in packages if one.manager == "conda"])
    _pip(draft, [one for one in packages if one.manager == "pip"])
    _overrides(draft, document, {one.name for one in packages if one.manager == "pip"})
    return draft


def _check_version(document: Document) -> None:
    value = document.value
    if not isinstance(value, dict) or value.get("version") != 1:
        found = value.get("version") if isinstance(value, dict) else None
        raise SpecError(
            "this is no conda-lock file of version 1"
            + (f": it says {found!r}" if found is not None else ""),
            location=document.mark(("version",)).value,
            hint="conda-lock writes one with: conda-lock lock --lockfile conda-lock.yml",
        )


def _check_secrets(document: Document) -> None:
    for place, mark in document.marks.items():
        if "://" in mark.raw and carries_secret(mark.raw) and not _VARIABLE.search(mark.raw):
            raise SpecError(
                f"the URL of {'.'.join(map(str, place))} carries a credential",
                location=Location(file=mark.value.file, line=mark.value.line, column=1),
                hint="remove it from the file, and give it to the machine: a token or header in "
                "config.toml, ENVLOCK_TOKEN_<NAME>, or netrc",
            )


def _check_model(document: Document) -> None:
    """Hold the file against conda-lock's own model; raises SpecError for the first misfit."""
    from conda_lock.lockfile.v1.models import Lockfile
    from pydantic import ValidationError

    try:
        Lockfile.model_validate(document.value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        places = [tuple(part for part in item["loc"] if part in _parts(document)) for item in found]
        messages = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
            for item in found
        ]
        raise SpecError(
            f"conda-lock does not write this: {messages[0]}",
            location=document.mark(places[0]).value,
            details=[f"  also {message}" for message in messages[1:6]],
        ) from None


def _parts(document: Document) -> set[str | int]:
    return {part for place in document.marks for part in place}


def _packages(document: Document, choices: Choices) -> list[_Package]:
    """Return the packages of the chosen groups, each once a platform."""
    wanted = {"main", *choices.groups}
    found: dict[tuple[str, str, str], _Package] = {}
    for n, block in enumerate(document.value["package"]):
        package = _package(block, document.mark(("package", n)).value)
        if block.get("category", "main") not in wanted:
            continue
        if not block["hash"].get("md5") and not block["hash"].get("sha256"):
            raise SpecError(
                f"{package.name} has no checksum", location=document.mark(("package", n)).value
            )
        key = (package.manager, package.name, package.platform)
        old = found.setdefault(key, package)
        if (old.version, old.build) != (package.version, package.build):
            raise SpecError(
                f"{package.name} is there twice for {package.platform}: {old.version} and "
                f"{package.version}",
                location=package.location,
                hint=f"the first is in line {old.location.line}",
            )
    groups = {block.get("category", "main") for block in document.value["package"]}
    missing = sorted(set(choices.groups) - groups)
    if missing:
        raise UsageError(
            f"there is no group {missing[0]!r} in the file",
            hint=f"it has: {', '.join(sorted(groups))}",
        )
    return list(found.values())


def _package(block: dict[str, Any], location: Location) -> _Package:
    match = _FILE.fullmatch(block["url"])
    if block["manager"] == "conda" and match is None:
        raise SpecError(f"the URL of {block['name']} is not that of a package", location=location)
    pip = block["manager"] == "pip"
    needs = block.get("dependencies") or {}
    return _Package(
        manager=block["manager"],
        name=canonicalize_name(block["name"]) if pip else block["name"],
        version=block["version"],
        platform=block["platform"],
        needs=frozenset(canonicalize_name(name) if pip else name for name in needs),
        build="" if pip or match is None else match["build"],
        base="" if pip or match is None else match["base"],
        location=location,
    )


def _platforms(packages: Sequence[_Package], choices: Choices, shown: str) -> list[str]:
    there = sorted({one.platform for one in packages})
    found = [name for name in choices.platforms or there if name in PLATFORMS and name in there]
    missing = [name for name in choices.platforms if name not in there]
    if missing or not found:
        raise UsageError(
            f"the file has no packages for {missing[0] if missing else ' or '.join(PLATFORMS)}",
            where=shown,
            hint=f"it is for: {', '.join(there) or 'no platform'}",
        )
    return found


def _check_owners(packages: Iterable[_Package]) -> None:
    """Refuse one package from conda and from pip, which conda-lock locks without a word."""
    owners: dict[tuple[str, str], _Package] = {}
    for one in sorted(packages, key=lambda one: one.manager):
        key = (one.platform, canonicalize_name(one.name))
        other = owners.setdefault(key, one)
        if other.manager != one.manager:
            raise UsageError(
                f"{one.name} is there twice for {one.platform}: {other.version} from conda and "
                f"{one.version} from pip",
                where=str(one.location),
                hint=f"the other is in line {other.location.line}; which one is used depends on "
                "who installs last. Remove one of the two from what was locked",
            )


def _left_out(draft: Draft, document: Document, platforms: Sequence[str]) -> None:
    metadata = document.value["metadata"]
    for name in metadata["platforms"]:
        if name not in platforms:
            where = document.mark(("metadata", "platforms")).value
            draft.note(where, f"the platform {name} is left out")
    groups = {b.get("category", "main") for b in document.value["package"]} - {"main"}
    if groups:
        where = document.mark(("package",)).value
        draft.note(where, f"groups: {', '.join(sorted(groups))}; --group takes one over")


def _conda(draft: Draft, packages: Sequence[_Package]) -> None:
    several = len({one.base for one in packages}) > 1
    asked = _asked(packages)
    for name, ones in _by_name(packages).items():
        channel = add_channel(draft, ones[0].base, ones[0].location) if several else None
        pin = _pin(ones)
        text = f"{channel}::{name} {pin}" if channel else f"{name} {pin}"
        item = Item(text=text, name=name, where=str(ones[0].location), channel=channel)
        (draft.conda if name in asked else draft.conda_constraints).append(item)
        if name == "python":
            draft.pythons.append((f"python {pin}", str(ones[0].location), True))
        if name in _CUDA and (cuda := re.match(r"\d+\.\d+", ones[0].version)):
            said = f"{name}; the file does not say what driver it was solved for"
            draft.want_cuda(cuda[0], ones[0].location, said)


def _pin(ones: Sequence[_Package]) -> str:
    """Return the exact version and, if all platforms agree on it, the build."""
    versions = sorted({one.version for one in ones})
    builds = {one.build for one in ones}
    if len(versions) == len(builds) == 1:
        return f"=={versions[0]} {builds.pop()}"
    return "|".join(f"=={version}" for version in versions)


def _pip(draft: Draft, packages: Sequence[_Package]) -> None:
    asked = _asked(packages)
    for name, ones in _by_name(packages).items():
        versions = sorted({one.version for one in ones})
        if len(versions) > 1:
            raise UsageError(
                f"{name} has another version on each platform: {', '.join(versions)}",
                where=str(ones[0].location),
                hint=f"read one of them: --platform {ones[0].platform}",
            )
        item = Item(text=f"{name}=={versions[0]}", name=name, where=str(ones[0].location))
        (draft.pypi if name in asked else draft.pypi_constraints).append(item)


def _asked(packages: Sequence[_Package]) -> set[str]:
    """Return the packages that nobody needs, on any of the platforms, and Python."""
    found = {one.name for one in packages if one.name == "python"}
    for platform in {one.platform for one in packages}:
        here = {one.name: one.needs for one in packages if one.platform == platform}
        found |= roots(here)
    return found


def _by_name(packages: Sequence[_Package]) -> dict[str, list[_Package]]:
    found: dict[str, list[_Package]] = {}
    for one in sorted(packages, key=lambda one: (one.name, one.platform)):
        found.setdefault(one.name, []).append(one)
    return found


def _overrides(draft: Draft, document: Document, wheels: set[str]) -> None:
    """Take over the overrides of wheels that ``envlock export`` noted in the file."""
    metadata = document.value["metadata"]
    found: dict[str, Forced] = {}
    for key, text in (metadata.get("custom_metadata") or {}).items():
        match = _OVERRIDE.fullmatch(str(key))
        if match is None or match["platform"] not in draft.platforms:
            continue
        location = document.mark(("metadata", "custom_metadata", key)).value
        if match["package"] not in wheels:
            draft.note(location, f"{key}: write it again, with from: conda")
            continue
        voids = [_VOIDS.fullmatch(part) for part in re.split(r"; (?=voids )", str(text))]
        found[match["package"]] = Forced(
            package=match["package"],
            version=match["version"],
            where=str(location),
            against={
                canonicalize_name(one["dependent"]): one["requirement"].partition(";")[0].strip()
                for one in voids
                if one is not None
            },
        )
    draft.forced += found.values()
