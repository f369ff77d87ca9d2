"""Lines of a spec that no index has a file for, told apart from packages that disagree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envlock.errors import UnsatisfiableError
from envlock.solve.pypi.overrides import bare
from envlock.solve.pypi.words import NO_WHEELS, UNKNOWN, elsewhere

if TYPE_CHECKING:
    from envlock.solve.pypi.uv import Question
    from envlock.spec.model import Asked

_TOO_NEW = re.compile(r"was filtered by `exclude-newer`")
_DEPENDS = re.compile(r"(\S+) depends? on ([\w.-]+)")


def is_of_its_own(asked: Asked, refusal: UnsatisfiableError, question: Question) -> bool:
    """Tell whether a line that was asked alone failed for itself, not for what it needs.

    uv's explanation then says of the environment that it depends on this, and of nothing else
    that it depends on something.
    """
    wanted = canonicalize_name(asked.requirement.name)
    return all(
        who == question.name and canonicalize_name(what) == wanted
        for who, what in _DEPENDS.findall(" ".join(refusal.details))
    )


def _other_name(name: str) -> str:
    """Return a hint for the name of a module that comes with a distribution of another name."""
    from envlock.audit.resolve.providers import distribution_for

    known = distribution_for(name, ())
    return f"the module {name} comes with {known}" if known != canonicalize_name(name) else ""


def _local_versions(asked: Asked) -> str:
    """Return a hint for versions with a ``+``, which publishers keep on indexes of their own."""
    local = [one.version for one in asked.requirement.specifier if "+" in one.version]
    if not local:
        return ""
    public = local[0].partition("+")[0]
    return (
        f"{local[0]} is a build that its publisher has on an index of its own: name that index "
        f"under indexes, or ask for {public}"
    )


def unavailable(
    asked: Asked, newest: str | None, refusal: UnsatisfiableError, question: Question
) -> UnsatisfiableError:
    """Return the error for a line that no file of any index meets on the target.

    newest: the newest version of the distribution that the target could take, or None.
    """
    own, name = bare(asked.requirement), asked.requirement.name
    taker = f"Python {question.python} on {question.target.name}"
    said = " ".join(refusal.details)
    hints = []
    if UNKNOWN.search(said):
        what, hints = f"{own}, and no index has {name}", [_other_name(name), refusal.hint or ""]
    elif NO_WHEELS.search(said):
        what = f"{own}, of which no index has a wheel for {taker}"
        hints += [_other_name(name), elsewhere(own)]
    else:
        what = f"{own}, and no index has such a version"
        hints.append(_local_versions(asked))
    if _TOO_NEW.search(said):
        hints.append(
            "exclude-newer leaves nothing of it; where its index tells no times of upload, write "
            "exclude-newer: false beside its packages under indexes"
        )
    if newest is not None:
        before = " before exclude-newer" if question.exclude_newer else ""
        hints.insert(0, f"the newest that {taker} can take{before} is {name} {newest}")
    return UnsatisfiableError(
        f"pypi.dependencies asks for {what}",
        where=str(asked.location),
        details=["uv's explanation:", *refusal.details],
        hint="; ".join(filter(None, hints)) or None,
    )
