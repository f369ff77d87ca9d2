"""Overrides against what upstream really says.

An override is a claim about the world: torch pins triton, to just this.  Each solve checks
the claim again, and an override that is no longer true fails instead of lingering.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envlock.lock.model import LockedExclude, LockedOverride, VoidedRequirement
from envlock.solve.wrong_overrides import absent, error, outlived, stale

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from envlock.requirements import Violation
    from envlock.solve.pypi.metadata import Described
    from envlock.spec.model import Override, Spec


def check_override(
    override: Override,
    described: Mapping[str, Described],
    environment: Mapping[str, str],
    provided: Mapping[str, str] | None = None,
) -> tuple[Requirement, ...]:
    """Return the upstream requirements that the override sets aside, markers included.

    provided: versions of distributions that are there besides, by name.  Raises OverrideError
    if a dependent is not there, requires something else than ``against`` says or nothing at
    all, or would take the forced version anyway.
    """
    _check_until(override, {**(provided or {}), **{n: d.version for n, d in described.items()}})
    voided: list[Requirement] = []
    for dependent, claimed in override.against.items():
        found = described.get(dependent)
        if found is None:
            raise absent(override, dependent, described)
        pins = requirements_on(found, override.package, environment)
        if not pins:
            raise stale(
                override,
                f"{dependent} {found.version} does not require {override.package}",
                f"remove {dependent} from against:, or the override if nothing is left",
            )
        for pin in pins:
            if pin.specifier != claimed.specifier:
                raise error(
                    override,
                    f"{dependent} {found.version} requires {bare(pin)}, not {claimed}",
                    f'look at it again, then write against: {{{dependent}: "{bare(pin)}"}}',
                )
        if all(pin.specifier.contains(override.version, prereleases=True) for pin in pins):
            raise stale(
                override,
                f"it changes nothing: {dependent} {found.version} requires {bare(pins[0])}, "
                f"which {override.version} meets",
                "remove the override; a plain requirement or constraint does the same",
            )
        voided += pins
    return tuple(voided)


def _check_until(override: Override, versions: Mapping[str, str]) -> None:
    if override.until is None:
        return
    name = canonicalize_name(override.until.name)
    version = versions.get(name)
    if version is None:
        raise error(
            override,
            f"until: waits for {override.until.name}, which is not among the packages",
            "name a distribution that is locked, or leave until: out",
        )
    if override.until.specifier.contains(version, prereleases=True):
        raise outlived(override, f"{name} {version}", override.until)


def requirements_on(
    described: Described, package: str, environment: Mapping[str, str]
) -> list[Requirement]:
    """Return what a distribution itself (without extras) requires of ``package`` here."""
    return [
        requirement
        for requirement in described.requires
        if canonicalize_name(requirement.name) == package
        and (
            requirement.marker is None or requirement.marker.evaluate({**environment, "extra": ""})
        )
    ]


def bare(requirement: Requirement) -> str:
    """Return a requirement without its marker."""
    copy = Requirement(str(requirement))
    copy.marker = None
    return str(copy)


def forced(override: Override, pin: Requirement | None = None) -> str:
    """Return the requirement that stands in for ``pin``, keeping its marker and extras."""
    extras = f"[{','.join(sorted(pin.extras))}]" if pin and pin.extras else ""
    marker = f" ; {pin.marker}" if pin and pin.marker else ""
    return f"{override.package}{extras}=={override.version}{marker}"


def locked_overrides(
    spec: Spec,
    described: Sequence[Described],
    violations: Iterable[Violation],
) -> tuple[tuple[LockedOverride, ...], tuple[LockedExclude, ...], list[Violation]]:
    """Sort the requirements that do not hold by what sets them aside.

    Returns the overrides and exclusions with all they void, and what nothing explains.
    """
    left: list[Violation] = []
    voids: dict[str, list[VoidedRequirement]] = {}
    overrides = {override.package: override for override in spec.overrides}
    for violation in violations:
        package = canonicalize_name(Requirement(violation.requirement).name)
        override = overrides.get(package)
        listed = override is not None and canonicalize_name(violation.dependent) in override.against
        if not listed and package not in spec.pypi.exclude:
            left.append(violation)
            continue
        voids.setdefault(package, []).append(
            VoidedRequirement(
                dependent=canonicalize_name(violation.dependent),
                version=violation.version,
                requirement=_as_written(violation, described),
            )
        )
    locked = tuple(
        LockedOverride(package=name, version=override.version, voids=tuple(voids.get(name, ())))
        for name, override in sorted(overrides.items())
    )
    excludes = tuple(
        LockedExclude(package=name, voids=tuple(voids.get(name, ()))) for name in spec.pypi.exclude
    )
    return locked, excludes, left


def _as_written(violation: Violation, described: Sequence[Described]) -> str:
    """Return the requirement with the marker that upstream gave it."""
    for item in described:
        if item.name == canonicalize_name(violation.dependent):
            for requirement in item.requires:
                if bare(requirement) == violation.requirement:
                    return str(requirement)
    return violation.requirement
