"""Overrides that reach over both sides: wheels over conda packages, conda pins on wheels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envlock.requirements import parse_requirement
from envlock.solve.conda.overrides import effect, forced_distribution
from envlock.solve.wrong_overrides import error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from envlock.lock.model import Artifact, LockedOverride, VoidedRequirement
    from envlock.solve.conda import CondaSolution
    from envlock.solve.provided import Provided
    from envlock.spec.model import Override, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What the wheels' solve is told of conda's side.

    spec: with those overrides and dependents only that concern wheels; provided: what conda
    brings and no wheel replaces; forced: requirements of the wheels that do; replaces: conda
    package by replaced distribution; voids: what an override voids in conda packages, by
    distribution.
    """

    spec: Spec
    provided: tuple[Provided, ...] = ()
    forced: tuple[str, ...] = ()
    replaces: Mapping[str, str] = field(default_factory=dict)
    voids: Mapping[str, tuple[VoidedRequirement, ...]] = field(default_factory=dict)


def sides(
    spec: Spec,
    conda: CondaSolution,
    describe: Callable[[], Sequence[Provided]],
    environment: Mapping[str, str],
) -> Sides:
    """Look at overrides of distributions that conda brings; raises OverrideError.

    describe: returns what conda brings with METADATA; asked only if something is replaced.
    """
    ours: list[Override] = []
    replaces: dict[str, str] = {}
    voids: dict[str, tuple[VoidedRequirement, ...]] = {}
    forced: list[str] = []
    for override in spec.overrides:
        if override.kind == "conda":
            ours += _against_wheels(override, conda)
            continue
        owner = conda.owner(override.package)
        if owner is None:
            ours.append(_of_wheels(override, frozenset()))
            continue
        described = describe()
        _check_replaceable(override, owner, described)
        put = forced_distribution(override, owner)
        found = effect(override, put, conda.artifacts, described, environment)
        ours.append(_of_wheels(override, found.dependents))
        replaces[override.package] = owner.name
        voids[override.package] = found.voids
        forced.append(f"{override.package}=={override.version}")
    return Sides(
        spec=dataclasses.replace(spec, overrides=tuple(ours)),
        provided=tuple(item for item in conda.provided() if item.name not in replaces),
        forced=tuple(forced),
        replaces=replaces,
        voids=voids,
    )


def _check_replaceable(override: Override, owner: Artifact, described: Sequence[Provided]) -> None:
    """Refuse a wheel in place of what no list of files tells from the rest of its package."""
    name = override.package
    assert owner.conda is not None
    hint = f"leave {owner.name} out, or write from: conda and force another version of it"
    if name in dict(owner.conda.stands_for):
        raise error(
            override,
            f"the conda package {owner.name} stands for {name} and has no list of its "
            "files, so that a wheel cannot take their place",
            f'{hint}; if it is no {name} at all: conda.map: {{{owner.name}: ""}}',
        )
    if not any(one.listed for one in described if (one.name, one.package) == (name, owner.name)):
        raise error(
            override,
            f"the conda package {owner.name} brings {name} without a RECORD (an egg-info, as "
            "setup.py wrote it), so that its files cannot be told from the rest of the package "
            "and a wheel cannot take their place",
            hint,
        )


def _of_wheels(override: Override, accounted: frozenset[str]) -> Override:
    """Return an override with those dependents only that no conda package accounts for."""
    left = override.claims.keys() - accounted
    for name in sorted(left):
        if name not in override.against:
            raise error(
                override,
                f"{name} is no conda package here, and {override.claims[name]!r} is no "
                "requirement that a wheel can have",
                f'write it as pip does: {{{name}: "{override.package}>=1,<2"}}',
            )
    against = {name: pin for name, pin in override.against.items() if name in left}
    return dataclasses.replace(override, against=against)


def _against_wheels(override: Override, conda: CondaSolution) -> list[Override]:
    """Return a conda override's dependents that are wheels as overrides of what it brings."""
    number = next(n for n, o in enumerate(conda.overrides) if o.package == override.package)
    left = conda.open[number]
    if not left:
        return []
    owner = next(one for one in conda.artifacts if one.name == override.package)
    against: dict[str, Requirement] = {}
    for name in left:
        try:
            against[name] = parse_requirement(override.claims[name])
        except InvalidRequirement:
            raise error(
                override,
                f"{name} is not among the conda packages, and {override.claims[name]!r} is no "
                "requirement that a wheel can have",
                f"remove {name} from against:, or write what the wheel requires",
            ) from None
    wanted = {canonicalize_name(pin.name) for pin in against.values()}
    brought = dict(owner.distributions)
    if not wanted <= brought.keys():
        name = min(wanted - brought.keys())
        raise error(
            override,
            f"{', '.join(sorted(left))}: the conda package {owner.name} brings no distribution "
            f"{name}",
            f"it brings: {', '.join(sorted(brought)) or 'none'}",
        )
    return [
        dataclasses.replace(
            override,
            kind="pypi",
            package=distribution,
            version=version,
            against={
                name: pin
                for name, pin in against.items()
                if canonicalize_name(pin.name) == distribution
            },
            claims={},
            conda_adds=(),
            conda_until=None,
        )
        for distribution, version in owner.distributions
        if distribution in wanted
    ]


def joined(
    both: Sides, spec: Spec, conda: CondaSolution, wheels: Sequence[LockedOverride]
) -> tuple[LockedOverride, ...]:
    """Return the locked overrides of both sides, each once, sorted by package and kind."""
    own = {override.package for override in spec.overrides if override.kind == "pypi"}
    found: list[LockedOverride] = []
    derived: dict[str, tuple[VoidedRequirement, ...]] = {}
    for locked in wheels:
        if locked.package not in own:
            owner = conda.owner(locked.package)
            assert owner is not None
            derived[owner.name] = (*derived.get(owner.name, ()), *locked.voids)
            continue
        found.append(
            dataclasses.replace(
                locked,
                voids=(*both.voids.get(locked.package, ()), *locked.voids),
                replaces=both.replaces.get(locked.package),
            )
        )
    found += [
        dataclasses.replace(one, voids=(*one.voids, *derived.get(one.package, ())))
        for one in conda.overrides
    ]
    return tuple(sorted(found, key=lambda override: (override.package, override.kind)))
