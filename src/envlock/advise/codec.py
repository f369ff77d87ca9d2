"""Advice as data for JSON (docs/reference/advice.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.codec import finding_to_data

if TYPE_CHECKING:
    from envlock.advise.model import Advice, Change, Problem, Way


def advice_to_data(advice: Advice) -> dict[str, Any]:
    """Return advice as JSON's types."""
    return {
        "problem": _problem(advice.problem),
        "ways": [_way(way) for way in advice.ways],
        "tried": [{**_change(tried.change), "reason": tried.reason} for tried in advice.tried],
        "skipped": list(advice.skipped),
        "moved": advice.moved,
        "trials": advice.trials,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "package": problem.package,
        "override": problem.override.version if problem.override else None,
        "natural": problem.natural,
        "reason": problem.reason,
        "fixes": [finding_to_data(finding) for finding in problem.fixes],
        "users": list(problem.users),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "package": change.package,
        "version": change.version,
        "against": dict(change.against),
        "drops": change.drops,
        "adds": list(change.adds),
    }


def _way(way: Way) -> dict[str, Any]:
    return {
        **_change(way.change),
        "yours": way.yours,
        "voids": list(way.voids),
        "breaks": [finding_to_data(finding) for finding in way.breaks],
        "moved": list(way.moved),
        "also": list(way.also),
        "replaces": list(way.replaces),
        "yaml": way.yaml,
        "unverified": list(way.unverified),
    }
