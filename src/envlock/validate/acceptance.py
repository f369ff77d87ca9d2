"""Failures that the spec accepts, applied to results: both ways.  Standard library only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from envlock.lock.accepts import AcceptedFailure, accepted_failures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from envlock.validate.results import Result


def with_acceptance(results: Iterable[Result], spec: Mapping[str, Any]) -> list[Result]:
    """Return results in which a failure that ``spec`` (a projection) accepts is no failure.

    An override's line covers that override's checks and the environment's.  A check that
    passes although its failure is accepted is told as well: the line has outlived its use.
    """
    accepted = list(accepted_failures(spec))
    return [_judged(result, accepted) for result in results]


def _judged(result: Result, accepted: list[AcceptedFailure]) -> Result:
    if not result.check or result.status not in {"passed", "failed"}:
        return result
    line = next((one for one in accepted if _covers(one, result)), None)
    if line is None:
        return result
    whose = f"the override of {line.override}" if line.override else "the spec"
    if result.status == "failed":
        said = f"failed, as accepted by {whose}: {line.text}"
        return replace(result, status="accepted", detail=(said, *result.detail))
    cost = "the override's cost is gone" if line.override else "what was accepted is gone"
    said = f"passes although its failure is accepted: {cost}; remove the line {line.text!r}"
    return replace(result, status="recovered", detail=(said, *result.detail))


def _covers(line: AcceptedFailure, result: Result) -> bool:
    return line.check == result.check and (
        result.override is None or line.override in {None, result.override}
    )
