"""``envlock audit --vulnerabilities``: what advisories say of locks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from envlock.cli.many import Judged
from envlock.errors import EnvlockError
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from envlock.advisories.model import Advisories, Verdict, Vulnerability
    from envlock.cli.context import Context
    from envlock.lock.model import Lock
    from envlock.spec.model import AcceptedVulnerability


class VulnerableError(EnvlockError):
    """Locked packages have known vulnerabilities that nobody accepted."""


def read(state: Context, path: Path) -> Advisories:
    """Read advisories and tell what is left out of them; raises UsageError."""
    from envlock.advisories.read import read_advisories

    with state.output.task("reading advisories"):
        advisories = read_advisories(path)
    for note in advisories.notes:
        state.output.warn(note)
    return advisories


def check_vulnerabilities(state: Context, name: str, advisories: Advisories) -> list[Judged]:
    """Judge the locks of an environment by advisories and show what they say.

    Raises LockError.
    """
    from envlock.advisories.judge import judge

    spec = state.optional_spec(name)
    accepted = spec.vulnerabilities if spec else ()
    today = datetime.now(UTC).date()
    judged: list[Judged] = []
    for platform in state.project.locked_platforms(name):
        lock = state.lock(name, platform)
        verdict = judge(lock, advisories, accepted, today)
        _show(state, lock, advisories, verdict)
        problem = _problem(lock, verdict) if verdict.open else None
        judged.append(Judged(document=_document(lock, advisories, verdict), problem=problem))
    return judged


def _show(state: Context, lock: Lock, advisories: Advisories, verdict: Verdict) -> None:
    say = state.output.result
    say(
        f"{lock.name} {lock.platform}: {_known(len(verdict.found))}, "
        f"{len(verdict.found) - len(verdict.open)} accepted, "
        f"by {counted(advisories.read, 'advisory', 'advisories')}"
    )
    for one in verdict.found:
        for line in _lines(one):
            say(f"  {line}")
    for entry in verdict.unused:
        state.output.warn(
            f"{entry.location}: {entry.id} is accepted, and these advisories do not name it for "
            f"{lock.name} {lock.platform}"
        )
    for sentence in verdict.unjudged:
        state.output.warn(f"not compared: {sentence}")


def _lines(one: Vulnerability) -> Iterator[str]:
    subject = one.subject
    brought = subject.artifact.name
    of = f" (in {brought})" if brought != subject.name else ""
    word = f", {one.severity}" if one.severity else ""
    yield f"{subject.name} {subject.version}{of}: {', '.join(one.ids)}{word}"
    if one.summary:
        yield f"    {one.summary}"
    yield (
        f"    fixed in {', '.join(one.fixed)}"
        if one.fixed
        else "    no version is named that fixes it"
    )
    if one.accepted is not None:
        until = f", until {one.accepted.until}" if one.accepted.until else ""
        yield f"    accepted{until}: {one.accepted.because}"
    elif one.expired is not None:
        yield f"    was accepted until {one.expired.until}: {one.expired.because}"


def _problem(lock: Lock, verdict: Verdict) -> VulnerableError:
    first = verdict.open[0]
    return VulnerableError(
        f"{lock.name} {lock.platform} has {_known(len(verdict.open))} that nobody has accepted",
        details=[
            f"  {one.subject.name} {one.subject.version}: {', '.join(one.ids)}"
            for one in verdict.open
        ],
        hint="lock versions that are fixed (envlock solve -P PKG), or write into the spec\n"
        "vulnerabilities:\n"
        "  accepts:\n"
        f"    - id: {first.ids[0]}\n"
        f"      package: {first.subject.name}\n"
        "      because: <why it does no harm here>\n"
        "      until: <the last day on which that holds>",
    )


def _known(number: int) -> str:
    return counted(number, "known vulnerability", "known vulnerabilities")


def _document(lock: Lock, advisories: Advisories, verdict: Verdict) -> dict[str, Any]:
    return {
        "name": lock.name,
        "platform": lock.platform,
        "advisories": advisories.read,
        "vulnerabilities": [_plain(one) for one in verdict.found],
        "unused": [{"id": entry.id, "package": entry.package} for entry in verdict.unused],
        "unjudged": list(verdict.unjudged),
    }


def _plain(one: Vulnerability) -> dict[str, Any]:
    return {
        "package": one.subject.name,
        "version": one.subject.version,
        "ecosystem": one.subject.ecosystem,
        "artifact": one.subject.artifact.file,
        "ids": list(one.ids),
        "summary": one.summary,
        "severity": one.severity,
        "fixed": list(one.fixed),
        "accepted": _entry(one.accepted),
        "expired": _entry(one.expired),
    }


def _entry(entry: AcceptedVulnerability | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    until = entry.until.isoformat() if entry.until else None
    return {"id": entry.id, "because": entry.because, "until": until}
