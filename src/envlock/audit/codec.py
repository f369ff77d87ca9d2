"""Audits as data for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from envlock.audit.model import Audit, Finding, Need, Place

if TYPE_CHECKING:
    from envlock.audit.judge import Judgement


def finding_to_data(finding: Finding) -> dict[str, Any]:
    """Return a finding as ``--json`` shows it."""
    value = asdict(finding)
    value |= {"chain": list(finding.chain), "roots": list(finding.roots)}
    return {**value, "key": finding.key, "text": finding.text}


def finding_from_data(value: dict[str, Any]) -> Finding:
    """Read what :func:`finding_to_data` wrote."""
    fields = {key: item for key, item in value.items() if key not in {"key", "text"}}
    fields["who"] = Place(**fields["who"])
    fields["needs"] = Need(**fields["needs"])
    fields["chain"] = tuple(fields["chain"])
    fields["roots"] = tuple(fields["roots"])
    return Finding(**fields)


def audit_to_data(audit: Audit) -> dict[str, Any]:
    """Return an audit as JSON's types."""
    return {
        "findings": [finding_to_data(finding) for finding in audit.findings],
        "importable": {name: list(pair) for name, pair in audit.importable.items()},
        "roots": dict(audit.roots),
        "mains": dict(audit.mains),
        "broken_modules": list(audit.broken_modules),
        "notes": list(audit.notes),
        "unverified": list(audit.unverified),
    }


def audit_from_data(value: dict[str, Any]) -> Audit:
    """Read what :func:`audit_to_data` wrote."""
    return Audit(
        findings=tuple(finding_from_data(item) for item in value["findings"]),
        importable={name: (pair[0], pair[1]) for name, pair in value["importable"].items()},
        roots=value["roots"],
        mains=value["mains"],
        broken_modules=tuple(value["broken_modules"]),
        notes=tuple(value["notes"]),
        unverified=tuple(value["unverified"]),
    )


def judgement_to_data(judgement: Judgement) -> dict[str, Any]:
    """Return a judgement as JSON's types."""
    return {
        "fixes": [finding_to_data(finding) for finding in judgement.fixes],
        "breaks": [finding_to_data(finding) for finding in judgement.breaks],
        "unchanged": [finding_to_data(finding) for finding in judgement.unchanged],
        "newly_broken": list(judgement.newly_broken),
        "newly_importable": list(judgement.newly_importable),
    }
