"""The errors for overrides that are not what they say; both solvers that take some raise them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from envlock.errors import OverrideError, StaleOverrideError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.spec.model import Override


def error(override: Override, problem: str, hint: str) -> OverrideError:
    """Return the error for an override that is not what it says."""
    return OverrideError(_message(override, problem), where=str(override.location), hint=hint)


def stale(override: Override, problem: str, hint: str) -> StaleOverrideError:
    """Return the error for an override that has no effect, or has outlived its time."""
    return StaleOverrideError(_message(override, problem), where=str(override.location), hint=hint)


def absent(override: Override, dependent: str, known: Iterable[str]) -> OverrideError:
    """Return the error for a dependent that is not among the packages; known: what is."""
    problem = f"{dependent} is not among the packages, so there is no pin of it to override"
    close = get_close_matches(dependent, sorted(known), n=1)
    if close:
        return error(override, problem, f"did you mean {close[0]}?")
    hint = f"remove {dependent} from against:, or the override if nothing is left"
    return stale(override, problem, hint)


def outlived(override: Override, package: str, until: object) -> StaleOverrideError:
    """Return the error for an override whose ``until`` holds; package: with its version."""
    return stale(
        override,
        f"it is stale: {package} is here, and it was to last until {until}",
        "remove the override and solve again; if it is still needed, move until:",
    )


def _message(override: Override, problem: str) -> str:
    return f"the override of {override.package}: {problem}"
