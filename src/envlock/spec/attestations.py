"""The spec's ``require-attestations``: of which wheels, and who must have published them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.errors import SpecError
from envlock.lock.attested import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from envlock.errors import Location
    from envlock.spec.document import Place

_DEFAULT = "GitHub"
"""Whose repository it is where only a repository or a workflow is named."""


def parse_attestations(
    value: Any, at: Callable[[Place], Location]
) -> Mapping[str, Mapping[str, str]]:
    """Return the required identity by normalized name, ``*`` for all others.

    Written as ``true``, as a list of names, or as a mapping of names to ``true`` or to an
    identity.  Raises SpecError for a name that stands twice.
    """
    if not value:
        return {}
    if value is True:
        return {ALL: {}}
    asked: dict[str, Any] = value if isinstance(value, dict) else dict.fromkeys(value, True)
    found: dict[str, dict[str, str]] = {}
    for name, identity in asked.items():
        key = ALL if name == ALL else str(canonicalize_name(name))
        if key in found:
            place = ("require-attestations", name)
            raise SpecError(
                f"{name} stands twice in require-attestations",
                location=at(place),
                hint="write it once",
            )
        found[key] = {} if identity is True else _filled(identity)
    return found


def _filled(identity: dict[str, str]) -> dict[str, str]:
    """Return an identity with the publisher that a repository or a workflow is of."""
    if "publisher" in identity:
        return dict(identity)
    return {"publisher": "Google" if "email" in identity else _DEFAULT, **identity}
