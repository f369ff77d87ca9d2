"""Reviews as data for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.codec import finding_to_data, judgement_to_data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.audit import Finding
    from envlock.review.model import Covered, Review


def review_to_data(review: Review) -> dict[str, Any]:
    """Return a review as ``--json`` shows it (docs/reference/json.md)."""
    return {
        "overrides": [
            {
                "package": item.override.package,
                "version": item.override.version,
                "natural": item.version,
                "unsolvable": item.natural.reason or None,
                "unjudged": item.natural.missing or None,
                **judgement_to_data(item.judgement),
                "open": _texts(review.open_of(item)),
            }
            for item in review.overrides
        ],
        "together": judgement_to_data(review.together) if review.together else None,
        "joint": _texts(review.joint),
        "accepted": [_covered(line) for line in review.accepted],
        "unused": [_covered(line) for line in review.unused],
        "required": [finding_to_data(finding) for finding in review.required],
        "elsewhere": [finding_to_data(finding) for finding in review.elsewhere],
        "open": _texts(review.open),
        "undeclared": [
            {"distribution": finding.who.distribution, "add": finding.add}
            for finding in review.audit.undeclared
        ],
        "unverified": list(review.audit.unverified),
    }


def _covered(line: Covered) -> dict[str, Any]:
    return {
        "override": line.override,
        "pattern": line.accepts.pattern,
        "findings": _texts(line.findings),
    }


def _texts(findings: Iterable[Finding]) -> list[str]:
    return [finding.text for finding in findings]
