"""Which clause catches which exception; classes matter (built-in exceptions)."""

from __future__ import annotations

import builtins
from typing import Literal

Match = Literal["yes", "no", "maybe"]

_EXTRA = {"PackageNotFoundError": ModuleNotFoundError, "DistributionNotFound": Exception}


def _builtin(name: str) -> type[BaseException] | None:
    found = getattr(builtins, name, None) or _EXTRA.get(name)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    return None


def catches(types: list[str] | None, error: str) -> Match:
    """Tell whether ``except types`` catches an exception of the class ``error``."""
    if types is None:
        return "yes"
    answer: Match = "no"
    for name in types:
        one = _one(name, error)
        if one == "yes":
            return "yes"
        if one == "maybe":
            answer = "maybe"
    return answer


def _one(name: str, error: str) -> Match:
    if name == error:
        return "maybe" if name == "?" else "yes"  # two that nobody can tell may be two
    caught, raised = _builtin(name), _builtin(error)
    if caught is not None and raised is not None:
        return "yes" if issubclass(raised, caught) else "no"
    if caught is not None:
        return "yes" if caught in {Exception, BaseException} else "maybe"
    return "maybe" if raised is None or name == "?" or _plural(name) else "no"


def _plural(name: str) -> bool:
    """A name such as ``_IMPORT_ERRORS`` may stand for a tuple of classes."""
    return name.isupper() or name[:1].islower() or name.endswith(("Errors", "Exceptions"))
