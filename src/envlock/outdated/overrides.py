"""Overrides held against the newest that upstream has.

A solve already refuses an override that voids nothing, or has outlived its ``until``, among
the packages that it chose.  Here the question goes further: is there anything upstream, even
where the spec does not let it in, that does without the override?
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envlock.errors import ArtifactError, FetchError, StaleOverrideError
from envlock.outdated.model import OverrideState
from envlock.platforms import PLATFORMS
from envlock.solve.conda.records import (
    artifact,
    entries_on,
    entry_name,
    match_spec,
    package_record,
)
from envlock.solve.pypi.overrides import bare, requirements_on
from envlock.spec.lines import item_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement

    from envlock.errors import OverrideError
    from envlock.lock.model import Artifact
    from envlock.outdated.upstream import Upstream
    from envlock.spec.model import Override, Spec


def override_state(
    override: Override, refusal: OverrideError | None, upstream: Upstream, text: str
) -> OverrideState:
    """Return what is known of an override.

    refusal: why the next solve refuses it; text: the spec's file.  Raises FetchError.
    """
    lines = item_lines(text, override.location)
    if refusal is not None:
        head = f"the override of {override.package}: "
        stale = isinstance(refusal, StaleOverrideError)
        return OverrideState(
            package=override.package,
            version=override.version,
            kind=override.kind,
            state="stale" if stale else "changed",
            where=str(override.location),
            reasons=(refusal.message.removeprefix(head),),
            hint=refusal.hint,
            lines=lines,
        )
    met = outlived(override, upstream)
    free, notes = _dependents(override, upstream)
    reasons = (*met, *free) if met or not notes else ()
    known = bool(reasons)
    name = upstream.spec.name
    return OverrideState(
        package=override.package,
        version=override.version,
        kind=override.kind,
        state="replaceable" if known else "needed",
        where=str(override.location),
        reasons=reasons,
        notes=tuple(notes) if known else (*free, *notes),
        hint=f"envlock audit {name} --advise tries what does without it" if known else None,
        lines=lines,
    )


def outlived(override: Override, upstream: Upstream) -> list[str]:
    """Return, in a sentence, that upstream has what ``until`` waits for; raises FetchError."""
    return [*_until(override, upstream), *_conda_until(override, upstream)]


def _until(override: Override, upstream: Upstream) -> list[str]:
    """Return that a version which meets ``until`` is there, and what keeps it out."""
    if override.until is None:
        return []
    name = canonicalize_name(override.until.name)
    wheel = upstream.locked("pypi", name)
    if wheel is None:
        return []
    meets = override.until.specifier.contains
    found = [one for one in upstream.versions(wheel) if meets(one, prereleases=True)]
    if not found:
        return []
    return [_waited(name, found[0], str(override.until), _kept_out(upstream.spec, name))]


def _conda_until(override: Override, upstream: Upstream) -> list[str]:
    if override.conda_until is None:
        return []
    name = entry_name(override.conda_until)
    package = upstream.locked("conda", name)
    spec = match_spec(override.conda_until)
    records = upstream.records(package) if package is not None else []
    found = next((record for record in records if spec.matches(record)), None)
    if found is None:
        return []
    asked = upstream.spec.conda.dependencies if upstream.spec.conda else ()
    why = [f"the spec asks for {one.spec} ({one.location})" for one in asked if one.name == name]
    return [_waited(name, str(found.version), override.conda_until, why)]


def _waited(name: str, version: str, until: str, kept_out: list[str]) -> str:
    why = f"; {kept_out[0]}" if kept_out else "; the solve does not choose it"
    return f"{name} {version} is there, and the override was to last until {until}{why}"


def _kept_out(spec: Spec, name: str) -> list[str]:
    """Return which lines of the spec decide the version of a distribution."""
    asked = (*spec.pypi.dependencies, *spec.pypi.constraints)
    return [
        f"the spec asks for {one.requirement} ({one.location})"
        for one in asked
        if canonicalize_name(one.requirement.name) == name and one.requirement.specifier
    ]


def _dependents(override: Override, upstream: Upstream) -> tuple[list[str], list[str]]:
    """Return which dependents' newest versions do without the override, and what others say."""
    free: list[str] = []
    notes: list[str] = []
    for name in sorted({*override.against, *override.claims}):
        wheel, package = upstream.locked("pypi", name), upstream.locked("conda", name)
        if wheel is not None:
            does_without, line = _newest_wheel(override, wheel, upstream)
        elif package is not None:
            does_without, line = _newest_record(override, package, upstream)
        else:
            continue
        (free if does_without else notes).append(line)
    return free, notes


def _newest_wheel(override: Override, wheel: Artifact, upstream: Upstream) -> tuple[bool, str]:
    versions = upstream.versions(wheel)
    newest = versions[0] if versions else wheel.version
    if newest == wheel.version:
        return False, f"{wheel.name} {newest} is the newest there is"
    try:
        described = upstream.described(wheel, newest)
    except (ArtifactError, FetchError) as error:
        return False, f"{wheel.name} {newest} cannot be looked at: {error.message}"
    if described is None:
        return False, f"{wheel.name} {newest} cannot be looked at: its index tells no sha256"
    environment = PLATFORMS[upstream.target.name].marker_environment(upstream.spec.python)
    pins = requirements_on(described, override.package, environment)
    holds = all(pin.specifier.contains(override.version, prereleases=True) for pin in pins)
    return holds, _said(override, f"{wheel.name} {newest}", _written(pins), holds=holds)


def _newest_record(override: Override, package: Artifact, upstream: Upstream) -> tuple[bool, str]:
    records = upstream.records(package)
    newest = records[0] if records else None
    if newest is None or str(newest.version) == package.version:
        return False, f"{package.name} {package.version} is the newest there is"
    forced = upstream.locked("conda", override.package)
    entries = entries_on(artifact(newest, package.source), override.package)
    record = package_record(forced) if forced is not None else None
    holds = record is not None and all(match_spec(entry).matches(record) for entry in entries)
    return holds, _said(override, f"{package.name} {newest.version}", entries, holds=holds)


def _written(pins: Iterable[Requirement]) -> list[str]:
    return [bare(pin) for pin in pins]


def _said(override: Override, who: str, pins: list[str], *, holds: bool) -> str:
    if not pins:
        return f"{who} no longer requires {override.package}"
    meets = f", which {override.version} meets" if holds else ""
    return f"{who} requires {' and '.join(pins)}{meets}"
