"""A report as lines of text and as data.  Nothing here prints or colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.validate.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from envlock.validate.results import OverrideFacts, Report, Result, Status

FORMAT = 1
"""Version of :func:`as_data`'s shape."""

_WORDS: dict[Status, str] = {
    "passed": "ok",
    "failed": "FAIL",
    "not-run": "--",
    "noted": "note",
    "accepted": "known",
    "recovered": "gone",
}
_SUBJECT_WIDTH = 44


def as_lines(report: Report, *, verbose: bool = False) -> list[str]:
    """Return the report for people: the overrides, the environment, the sum.

    verbose: with the tracebacks behind failures.
    """
    lines: list[str] = []
    for override in report.overrides:
        lines += _headline(override)
        block = [result for result in report.results if result.override == override.package]
        lines += _block(block, verbose)
    lines.append("Environment")
    lines += _block((result for result in report.results if result.override is None), verbose)
    lines.append(_sum(report))
    return lines


def as_data(report: Report) -> dict[str, Any]:
    """Return the report as JSON-able data; times are in seconds, to the millisecond."""
    return {
        "format": FORMAT,
        "name": report.name,
        "platform": report.platform,
        "image": report.image,
        "ok": report.ok,
        "seconds": round(report.seconds, 3),
        "gpu": None
        if report.gpu is None
        else {
            "names": list(report.gpu.names),
            "driver": report.gpu.driver,
            "cuda": report.gpu.cuda,
        },
        "overrides": [
            {
                "package": override.package,
                "version": override.version,
                "against": list(override.against),
                "because": override.because,
            }
            for override in report.overrides
        ],
        "results": [
            {
                "kind": result.kind,
                "subject": clean(result.subject),
                "status": result.status,
                "detail": [clean(line) for line in result.detail],
                "trace": [clean(line) for line in result.trace],
                "seconds": None if result.seconds is None else round(result.seconds, 3),
                "override": result.override,
            }
            for result in report.results
        ],
    }


def _headline(override: OverrideFacts) -> Iterator[str]:
    against = f" (against {', '.join(override.against)})" if override.against else ""
    yield clean(f"Override {override.package} {override.version}{against}")
    if override.because:
        yield clean(f"  because {override.because}")


def _block(results: Iterable[Result], verbose: bool) -> Iterator[str]:
    for result in results:
        subject = clean(result.subject)
        if result.status == "not-run":
            subject = f"{subject:<{_SUBJECT_WIDTH}} not run: {clean(' '.join(result.detail))}"
        elif result.seconds is not None:
            subject = f"{subject:<{_SUBJECT_WIDTH}} {result.seconds:.1f} s"
        yield f"  {_WORDS[result.status]:<5} {subject}"
        if result.status != "not-run":
            shown = (*result.detail, *result.trace) if verbose else result.detail
            yield from (f"          {clean(line)}" for line in shown)


def _sum(report: Report) -> str:
    passed = report.count("passed") + report.count("recovered")
    failed, not_run = report.count("failed"), report.count("not-run")
    if failed:
        head = f"Failed: {failed} of {_checks(passed + failed)}"
    else:
        head = f"Passed: {_checks(passed)}"
    accepted = report.count("accepted")
    tail = f", {accepted} failed as accepted" if accepted else ""
    tail += f", {not_run} not run" if not_run else ""
    return f"{head}{tail}, in {report.seconds:.1f} s"


def _checks(count: int) -> str:
    return f"{count} check{'' if count == 1 else 's'}"
