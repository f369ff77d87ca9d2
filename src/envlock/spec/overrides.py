"""The ``overrides:`` section of a spec: of distributions, and of conda packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envlock.errors import SpecError
from envlock.requirements import parse_requirement
from envlock.spec.conda import parse_asked
from envlock.spec.matchspec import match_name
from envlock.spec.model import Override

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.errors import Location
    from envlock.spec.document import Place
    from envlock.spec.model import Accepts, Asked, Check, Conda, Spec


class Reader(Protocol):
    """Reads parts of a spec that overrides share with the rest; each raises SpecError."""

    def at(self, place: Place) -> Location: ...
    def requirement(self, place: Place, text: str) -> Requirement: ...
    def asked(self, place: Place, texts: Iterable[str] | None) -> tuple[Asked, ...]: ...
    def accepts(self, place: Place, texts: Iterable[str] | None) -> tuple[Accepts, ...]: ...
    def checks(self, place: Place, items: Any, *, in_override: bool) -> tuple[Check, ...]: ...


def parse_override(
    reader: Reader, place: Place, table: dict[str, Any], conda: Conda | None
) -> Override:
    """Return one override; raises SpecError."""
    if table.get("from") != "conda":
        return _of_distribution(reader, place, table, conda)
    if conda is None:
        raise SpecError(
            "a conda package is overridden, and the spec has no conda section",
            location=reader.at((*place, "from")),
            hint="add conda.channels and conda.dependencies, or remove this line",
        )
    return _of_conda_package(reader, place, table, conda)


def _of_distribution(
    reader: Reader, place: Place, table: dict[str, Any], conda: Conda | None
) -> Override:
    package = canonicalize_name(table["package"])
    against: dict[str, Requirement] = {}
    claims: dict[str, str] = {}
    for dependent, text in table["against"].items():
        here = (*place, "against", dependent)
        name = canonicalize_name(dependent)
        if name in claims:
            raise SpecError(f"{dependent} stands twice", location=reader.at(here))
        claims[name] = " ".join(text.split())
        if conda is not None and not _is_requirement(text) and match_name(text):
            continue  # conda's language, and so a conda package's pin
        requirement = reader.requirement(here, text)
        if canonicalize_name(requirement.name) != package and conda is None:
            raise SpecError(
                f"the override of {package} is against a pin of {requirement.name}",
                location=reader.at(here),
                hint=f"write what {dependent} requires of {package}",
            )
        against[name] = requirement
    until = table.get("until")
    return Override(
        package=package,
        version=_exact(reader, place, table["version"]),
        against=dict(sorted(against.items())),
        claims=dict(sorted(claims.items())),
        because=table["because"].strip(),
        adds=reader.asked((*place, "adds"), table.get("adds")),
        accepts=reader.accepts((*place, "accepts"), table.get("accepts")),
        until=reader.requirement((*place, "until"), until) if until else None,
        checks=reader.checks((*place, "checks"), table.get("checks"), in_override=True),
        location=reader.at(place),
    )


def _of_conda_package(
    reader: Reader, place: Place, table: dict[str, Any], conda: Conda
) -> Override:
    package = table["package"].lower()
    claims: dict[str, str] = {}
    for dependent, text in table["against"].items():
        if match_name(text) is None:
            raise SpecError(
                f"{text!r} is not a match spec",
                location=reader.at((*place, "against", dependent)),
                hint=f"write what {dependent} says in its depends: {package} >=1,<2",
            )
        if dependent.lower() in claims:
            raise SpecError(
                f"{dependent} stands twice", location=reader.at((*place, "against", dependent))
            )
        claims[dependent.lower()] = " ".join(text.split())
    until = table.get("until")
    if until is not None and match_name(until) is None:
        raise SpecError(
            f"{until!r} is not a match spec",
            location=reader.at((*place, "until")),
            hint="name a conda package and a version: scipy>=1.15",
        )
    return Override(
        kind="conda",
        package=package,
        version=_exact_conda(reader, place, table["version"]),
        against={},
        claims=dict(sorted(claims.items())),
        because=table["because"].strip(),
        conda_adds=parse_asked(
            (*place, "adds"),
            table.get("adds"),
            reader.at,
            channels=[channel.name for channel in conda.channels],
        ),
        accepts=reader.accepts((*place, "accepts"), table.get("accepts")),
        conda_until=until,
        checks=reader.checks((*place, "checks"), table.get("checks"), in_override=True),
        location=reader.at(place),
    )


def _is_requirement(text: str) -> bool:
    try:
        parse_requirement(text)
    except InvalidRequirement:
        return False
    return True


def _exact(reader: Reader, place: Place, text: str) -> str:
    version = text.removeprefix("==").strip()
    try:
        Version(version)
    except InvalidVersion:
        raise _inexact(reader, place, text) from None
    return version


def _exact_conda(reader: Reader, place: Place, text: str) -> str:
    from rattler import Version as CondaVersion
    from rattler.exceptions import InvalidVersionError

    version = text.removeprefix("==").strip()
    try:
        CondaVersion(version)
    except InvalidVersionError:
        raise _inexact(reader, place, text) from None
    return version


def _inexact(reader: Reader, place: Place, text: str) -> SpecError:
    return SpecError(
        f"{text!r} does not name one version",
        location=reader.at((*place, "version")),
        hint='an override forces one version: "==2.3.1"',
    )


def check_overrides(spec: Spec) -> None:
    """Refuse overrides that contradict each other or the rest of the spec; raises SpecError."""
    seen: dict[tuple[str, str], Override] = {}
    for override in spec.overrides:
        key = (override.kind, override.package)
        if key in seen:
            raise SpecError(
                f"{override.package} is overridden twice",
                location=override.location,
                hint=f"the first override is in line {seen[key].location.line}; "
                "name all dependents in one against:",
            )
        seen[key] = override
        if override.kind == "conda":
            _check_against_conda(override, spec)
        else:
            _check_against_pypi(override, spec)


def _check_against_pypi(override: Override, spec: Spec) -> None:
    for asked in (*spec.pypi.dependencies, *spec.pypi.constraints):
        requirement = asked.requirement
        if canonicalize_name(requirement.name) == override.package and not (
            requirement.specifier.contains(override.version, prereleases=True)
        ):
            raise _excludes(str(requirement), override, asked.location)
    if override.package in spec.pypi.exclude:
        raise SpecError(
            f"{override.package} is overridden and excluded", location=override.location
        )


def _check_against_conda(override: Override, spec: Spec) -> None:
    from rattler import MatchSpec, VersionSpec
    from rattler import Version as CondaVersion

    for asked in (*spec.conda.dependencies, *spec.conda.constraints) if spec.conda else ():
        wanted = MatchSpec(asked.bare).version
        if (
            asked.name == override.package
            and wanted is not None
            and not VersionSpec(wanted).matches(CondaVersion(override.version))
        ):
            raise _excludes(asked.spec, override, asked.location)


def _excludes(asked: str, override: Override, location: Location) -> SpecError:
    return SpecError(
        f"{asked} excludes {override.version}, which an override forces",
        location=location,
        hint=f"remove this line; the override in line {override.location.line} decides the version",
    )
