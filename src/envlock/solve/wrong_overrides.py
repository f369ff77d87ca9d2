"""The errors for overrides that are not what they say; both solvers that take some raise them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.errors import OverrideError, StaleOverrideError

if TYPE_CHECKING:
    from envlock.spec.model import Override


def error(override: Override, problem: str, hint: str) -> OverrideError:
    """Return the error for an override that is not what it says."""
    return OverrideError(_message(override, problem), where=str(override.location), hint=hint)


def stale(override: Override, problem: str, hint: str) -> StaleOverrideError:
    """Return the error for an override that has no effect, or has outlived its time."""
    return StaleOverrideError(_message(override, problem), where=str(override.location), hint=hint)


def outlived(override: Override, package: str, until: object) -> StaleOverrideError:
    """Return the error for an override whose ``until`` holds; package: with its version."""
    return stale(
        override,
        f"it is stale: {package} is here, and it was to last until {until}",
        "remove the override and solve again; if it is still needed, move until:",
    )


def _message(override: Override, problem: str) -> str:
    return f"the override of {override.package}: {problem}"
