"""The licence that a package declares: core metadata's License-Expression (PEP 639), else what
older packages say; of conda packages what the channel says.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.metadata import parse_email

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST = 100
"""Letters of a License field that is a name; longer ones are the licence's text."""

_CLASSIFIER = "License :: "


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence as an SPDX expression, or as a text that is none; neither where nothing is said."""

    expression: str | None = None
    text: str | None = None


def of_wheel(metadata: bytes) -> Licence:
    """Return what METADATA declares."""
    raw, _ = parse_email(metadata)
    field = raw.get("license") or ""
    short = " ".join(field.split())
    if "\n" in field.strip() or len(short) > _LONGEST or short.upper() in {"", "UNKNOWN"}:
        short = ""
    return _read(raw.get("license_expression") or short or _classified(raw.get("classifiers", ())))


def of_conda(text: str | None) -> Licence:
    """Return what a channel's repodata declares."""
    return _read(text or "")


def _classified(classifiers: Sequence[str]) -> str:
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith(_CLASSIFIER)]
    return ", ".join(name for name in names if name != "OSI Approved")


def _read(text: str) -> Licence:
    if not text:
        return Licence()
    expression = _spdx(text)
    return Licence(expression=expression) if expression else Licence(text=text)


def _spdx(text: str) -> str | None:
    """Return a text in SPDX's own spelling where it is an expression of listed licences."""
    from license_expression import ExpressionError

    try:
        found = _licensing().parse(text, validate=True)
    except (ExpressionError, ValueError, AttributeError, TypeError):
        return None
    return None if found is None else str(found)


@functools.cache
def _licensing() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()
