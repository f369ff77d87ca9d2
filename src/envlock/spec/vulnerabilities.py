"""The spec's ``vulnerabilities``: known ones that are accepted, why, and for how long."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.errors import SpecError
from envlock.spec.model import AcceptedVulnerability

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.errors import Location
    from envlock.spec.document import Place


def parse_vulnerabilities(
    table: dict[str, Any] | None, at: Callable[[Place], Location]
) -> tuple[AcceptedVulnerability, ...]:
    """Return the accepted ones; raises SpecError for a day that is none and for a double."""
    found: dict[tuple[str, str | None], AcceptedVulnerability] = {}
    for n, item in enumerate((table or {}).get("accepts") or ()):
        place = ("vulnerabilities", "accepts", n)
        package = str(canonicalize_name(item["package"])) if "package" in item else None
        key = (item["id"], package)
        if key in found:
            raise SpecError(
                f"{item['id']} is accepted twice",
                location=at(place),
                hint=f"the first is in line {found[key].location.line}; remove one",
            )
        found[key] = AcceptedVulnerability(
            id=item["id"],
            package=package,
            because=item["because"],
            until=_day(item.get("until"), at((*place, "until"))),
            location=at(place),
        )
    return tuple(found.values())


def _day(text: str | None, location: Location) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SpecError(f"{text} is no day: {error}", location=location) from None
