"""What ``accepts`` lists say: ``WHO needs WHAT`` of the import audit, and ``CHECK fails``.

A check is named as the spec writes it: a ready-made one by its name (``torch-compile fails``),
an import by ``import MODULE fails``, a command by ``run`` or ``gpu`` and its words as in a
shell (``run python3 -c 'import x' fails``).  Standard library only.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FAILS = " fails"
_NEEDS = " needs "


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedFailure:
    """A check that may fail; text: the line; override: whose ``accepts`` it is in, or None."""

    check: tuple[str, ...]
    text: str
    override: str | None


def is_failure(text: str) -> bool:
    """Tell whether a line is about a check, and not a pattern of the import audit."""
    return text.endswith(_FAILS)


def failing_check(text: str) -> tuple[str, ...] | None:
    """Return the words of the check that a line names, None for an audit pattern.

    Raises ValueError, with a sentence, for a line that is neither.
    """
    if is_failure(text):
        words = tuple(shlex.split(text.removesuffix(_FAILS)))
        if not words:
            raise ValueError("no check stands before 'fails'")
        return words
    who, found, needs = text.partition(_NEEDS)
    if found and who.strip() and needs.strip():
        return None
    raise ValueError("it is neither 'WHO needs WHAT' nor 'CHECK fails'")


def check_words(check: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how ``accepts`` names a check of a spec; empty where it cannot be named."""
    if len(check) != 1:
        return ()
    ((kind, value),) = check.items()
    if kind == "gpu" and isinstance(value, str):
        return (value,)
    if kind == "import" and isinstance(value, str):
        return (kind, value)
    if kind in {"run", "gpu"} and isinstance(value, list):
        return (kind, *map(str, value))
    return ()


def accepted_failures(spec: Mapping[str, Any]) -> Iterator[AcceptedFailure]:
    """Yield the failures that a spec's projection accepts, the whole environment's first."""
    lists: list[tuple[str | None, Any]] = [(None, spec.get("accepts") or ())]
    lists += [
        (str(item.get("package")), item.get("accepts") or ())
        for item in spec.get("overrides") or ()
    ]
    for override, texts in lists:
        for text in texts:
            with suppress(ValueError):  # the spec's reader has told of it
                words = failing_check(text)
                if words is not None:
                    yield AcceptedFailure(check=words, text=text, override=override)
