"""The spec's ``accepts`` lists: their grammar, and that the checks they name are there."""

from __future__ import annotations

import difflib
import shlex
from typing import TYPE_CHECKING

from envlock.errors import SpecError
from envlock.lock.accepts import check_words, failing_check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.errors import Location
    from envlock.spec.model import Accepts, Check, Spec

_GRAMMAR = (
    'write "WHO needs WHAT" for what the audit finds, such as torch._inductor needs '
    'triton.compiler.compiler.triton_key, or "CHECK fails", such as torch-compile fails'
)


def accepts_pattern(text: str, location: Location) -> str:
    """Return a line as it is compared and kept; raises SpecError if it is neither form."""
    try:
        named = failing_check(text.strip())
    except ValueError as error:
        raise SpecError(
            f"{text!r} is not understood: {error}", location=location, hint=_GRAMMAR
        ) from None
    if named is not None:
        return f"{shlex.join(named)} fails"
    who, _, needs = text.partition(" needs ")
    return f"{who.strip()} needs {needs.strip()}"


def check_accepts(spec: Spec) -> None:
    """Raise SpecError for a line that names a check that is not asked for.

    An override may accept the failure of its own checks and of the environment's.
    """
    everything = [check for override in spec.overrides for check in override.checks]
    _check_lines(spec.accepts, [*spec.checks, *everything])
    for override in spec.overrides:
        _check_lines(override.accepts, [*spec.checks, *override.checks])


def _check_lines(lines: Iterable[Accepts], asked: Iterable[Check]) -> None:
    known = {words for check in asked if (words := check_words(check.plain()))}
    for line in lines:
        named = failing_check(line.pattern)
        if named is not None and named not in known:
            raise SpecError(
                f"{line.pattern!r} names a check that is not asked for",
                location=line.location,
                hint=_meant(shlex.join(named), sorted(map(shlex.join, known))),
            )


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    can = f"checks that can be named: {', '.join(known)}" if known else "no check here has a name"
    return f"add the check, or remove the line; {can}"
