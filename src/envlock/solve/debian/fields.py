"""Debian's control syntax: stanzas of fields, and dependency fields.

Debian policy 5.1 (syntax of control files), 7.1 (syntax of relationship fields).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envlock.errors import ArtifactError

_RELATION = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9+.\-]*)"
    r"(?::(?P<qualifier>[A-Za-z0-9\-]+))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^()\s]+)\s*\))?"
)

_OPERATORS = {"<": "<=", ">": ">="}
"""Policy 7.1: the deprecated ``<`` and ``>`` mean ``<=`` and ``>=``."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.\-]*")
"""Package names (policy 5.6.1; virtual ones in the archive are not always lower case)."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One alternative of a clause, such as ``python3:any (>= 3.11~)``.

    qualifier: an architecture, ``any``, ``native`` or empty; operator: one of
    ``<< <= = >= >>`` or empty, with the version it bounds.
    """

    name: str
    qualifier: str = ""
    operator: str = ""
    version: str = ""


def parse_fields(text: str) -> dict[str, str]:
    """Return the fields of one stanza by lower-case name; continuation lines keep their breaks.

    Raises ArtifactError for a line that is neither a field nor a continuation.
    """
    fields: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if line[:1] in {" ", "\t"} and current is not None:
            current.append(line.strip())
            continue
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise ArtifactError(f"not a control field: {line[:80]!r}")
        current = fields.setdefault(name.lower(), [])
        current.append(value.strip())
    return {name: "\n".join(lines) for name, lines in fields.items()}


def split_clauses(text: str) -> tuple[str, ...]:
    """Return the clauses of a relationship field as written, blank space folded."""
    clauses = (" ".join(clause.split()) for clause in text.split(","))
    return tuple(clause for clause in clauses if clause)


def parse_clause(clause: str) -> tuple[Relation, ...]:
    """Return the alternatives of one clause, first choice first; ArtifactError if malformed."""
    relations = []
    for alternative in clause.split("|"):
        match = _RELATION.fullmatch(alternative.strip())
        if match is None:
            raise ArtifactError(f"not a dependency: {alternative.strip()!r}")
        operator = match["operator"] or ""
        relations.append(
            Relation(
                match["name"],
                match["qualifier"] or "",
                _OPERATORS.get(operator, operator),
                match["version"] or "",
            )
        )
    return tuple(relations)
