"""Overrides of conda packages, and of distributions that conda packages bring.

The same claims and the same rules as on package indexes: what a dependent says is looked up
in its ``depends`` and ``constrains`` and in the METADATA of its distributions, and an override
fails that says something else, changes nothing, or would void more than it lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envlock.lock.model import VoidedRequirement
from envlock.requirements import parse_requirement
from envlock.solve.conda.explain import unlisted
from envlock.solve.conda.records import (
    entries_on,
    entry_name,
    keys_of,
    match_spec,
    package_record,
    same_spec,
)
from envlock.solve.wrong_overrides import error, outlived, stale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rattler import PackageRecord

    from envlock.lock.model import Artifact
    from envlock.solve.provided import Provided
    from envlock.spec.model import Override


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced:
    """What an override puts in place.

    package: the conda package that others' entries are about; record: what they meet now;
    distributions: versions by the names of the PyPI distributions that are forced.
    """

    package: str
    record: PackageRecord
    distributions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an override voids in conda packages, and whom of its dependents that accounts for."""

    voids: tuple[VoidedRequirement, ...]
    dependents: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Pin:
    """One statement of a package about the forced one; void: what the lock says of it."""

    text: str
    holds: bool
    void: VoidedRequirement


def forced_conda(override: Override, artifacts: Sequence[Artifact]) -> Forced | None:
    """Return what an override of a conda package forces; None where nobody wants it."""
    found = next((one for one in artifacts if one.name == override.package), None)
    if found is None or found.conda is None:
        return None
    return Forced(
        package=found.name,
        record=package_record(found),
        distributions=dict(found.distributions),
    )


def forced_distribution(override: Override, owner: Artifact) -> Forced:
    """Return what a wheel in place of a conda package's distribution forces."""
    return Forced(
        package=owner.name,
        record=package_record(owner, override.version),
        distributions={override.package: override.version},
    )


def effect(
    override: Override,
    forced: Forced,
    artifacts: Sequence[Artifact],
    provided: Sequence[Provided],
    environment: Mapping[str, str],
) -> Effect:
    """Return what ``override`` voids; raises OverrideError if it is not what it says.

    provided: the distributions of ``artifacts`` with their METADATA.
    """
    pins = {
        artifact.name: _pins(artifact, forced, provided, environment)
        for artifact in artifacts
        if artifact.name != forced.package
    }
    others = [artifact for artifact in artifacts if artifact.name in pins]
    broken = [pin for own in pins.values() for pin in own if not pin.holds]
    for artifact in others:
        first = next((pin for pin in pins[artifact.name] if not pin.holds), None)
        if first is not None and not keys_of(artifact) & override.claims.keys():
            who = f"{artifact.name} {artifact.version}"
            raise unlisted(override, who, artifact.name, first.text)
    named: set[str] = set()
    for artifact in others:
        keys = keys_of(artifact) & override.claims.keys()
        if keys:
            named |= keys
            _check_claim(override, artifact, override.claims[min(keys)], pins[artifact.name])
    return Effect(voids=tuple(pin.void for pin in broken), dependents=frozenset(named))


def _pins(
    artifact: Artifact,
    forced: Forced,
    provided: Sequence[Provided],
    environment: Mapping[str, str],
) -> list[_Pin]:
    pins = [
        _Pin(
            entry,
            match_spec(entry).matches(forced.record),
            VoidedRequirement(
                dependent=artifact.name,
                version=artifact.version,
                requirement=entry,
                kind="conda",
            ),
        )
        for entry in entries_on(artifact, forced.package)
    ]
    for item in provided:
        if item.package != artifact.name:
            continue
        for text in item.requires or ():
            requirement = _applying(text, environment)
            if requirement is None:
                continue
            version = forced.distributions.get(canonicalize_name(requirement.name))
            if version is None:
                continue
            void = VoidedRequirement(dependent=item.name, version=item.version, requirement=text)
            holds = requirement.specifier.contains(version, prereleases=True)
            pins.append(_Pin(_bare(requirement), holds, void))
    return pins


def _applying(text: str, environment: Mapping[str, str]) -> Requirement | None:
    try:
        requirement = parse_requirement(text)
    except InvalidRequirement:
        return None
    marker = requirement.marker
    return requirement if not marker or marker.evaluate({**environment, "extra": ""}) else None


def _bare(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _check_claim(override: Override, artifact: Artifact, claim: str, pins: list[_Pin]) -> None:
    who = f"{artifact.name} {artifact.version}"
    if not pins:
        raise stale(
            override,
            f"{who} does not require {override.package}",
            f"remove {artifact.name} from against:, or the override if nothing is left",
        )
    said = " and ".join(dict.fromkeys(pin.text for pin in pins))
    if not any(_same(claim, pin.text) for pin in pins):
        raise error(
            override,
            f"{who} requires {said}, not {claim}",
            f'look at it again, then write against: {{{artifact.name}: "{pins[0].text}"}}',
        )
    if all(pin.holds for pin in pins):
        raise stale(
            override,
            f"it changes nothing: {who} requires {said}, which {override.version} meets",
            "remove the override; a plain dependency or constraint does the same",
        )


def _same(claim: str, pin: str) -> bool:
    if same_spec(claim, pin):
        return True
    try:
        one, other = parse_requirement(claim), parse_requirement(pin)
    except InvalidRequirement:
        return False
    same_name = canonicalize_name(one.name) == canonicalize_name(other.name)
    return same_name and one.specifier == other.specifier


def check_until(override: Override, artifacts: Sequence[Artifact]) -> None:
    """Raise OverrideError if an override of a conda package has outlived its time."""
    if override.conda_until is None:
        return
    name = entry_name(override.conda_until)
    found = next((one for one in artifacts if one.name == name), None)
    if found is None:
        raise error(
            override,
            f"until: waits for {name}, which is not among the conda packages",
            "name a package that is locked, or leave until: out",
        )
    if match_spec(override.conda_until).matches(package_record(found)):
        raise outlived(override, f"{found.name} {found.version}", override.conda_until)
