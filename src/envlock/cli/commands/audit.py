"""``envlock audit``: what the locked code asks for and will not find."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.errors import EnvlockError, UsageError

if TYPE_CHECKING:
    from envlock.audit import Audit, Finding

_HEADINGS = {
    "breaks-import": "importing it fails",
    "may-break-import": "importing it may fail",
    "breaks-module": "a module that cannot be imported",
    "breaks-call": "a function that fails when it is called",
    "conditional": "fails under a condition that nobody can decide from here",
    "degrades": "something is left out",
    "falls-back": "something else is used instead",
    "undeclared": "used but not declared",
}


class AuditFailedError(EnvlockError):
    """The audit found imports that fail."""


@command("audit")
def audit_command(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Environments; all of envs/ by default.", autocompletion=environments),
    ] = None,
    artifacts: Annotated[
        list[Path] | None,
        typer.Option("--artifacts", help="Audit wheel files instead.", exists=True, dir_okay=False),
    ] = None,
    python: Annotated[str, typer.Option(help="The Python that runs them: 3.11.")] = "3.11",
    platform: Annotated[str, typer.Option(help="The platform that runs them.")] = "linux-64",
    offline: Annotated[bool, typer.Option("--offline", help="Use caches only.")] = False,
) -> None:
    """Tell which imports, modules and names will not be there, without installing anything."""
    state: Context = context.obj
    state.offline = offline
    if artifacts is not None:
        documents = [_files(state, [*artifacts, *map(Path, names or ())], python, platform)]
    else:
        documents = [document for name in state.names(names) for document in _locks(state, name)]
    state.output.document({"audits": documents})
    broken = sum(document["counts"].get("breaks-import", 0) for document in documents)
    if broken:
        raise AuditFailedError(
            f"{broken} import{'s' if broken != 1 else ''} cannot work",
            hint="choose other versions, or override one and say why; "
            "envlock audit --json has every finding",
        )


def _files(state: Context, paths: list[Path], python: str, platform: str) -> dict[str, Any]:
    from envlock.audit import audit_wheels, target_of
    from envlock.platforms import PLATFORMS

    if platform not in PLATFORMS:
        raise UsageError(
            f"there is no platform {platform!r}", hint=f"one of {', '.join(PLATFORMS)}"
        )
    parts = python.split(".")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise UsageError(f"{python!r} is no Python version", hint="write --python 3.11")
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise UsageError(f"there is no file {missing[0]}")
    audit = audit_wheels(
        paths,
        target_of(python, platform),
        cache=state.config.cache_dir / "audit",
        jobs=_jobs(),
        reporter=state.output,
    )
    return _shown(state, f"{len(paths)} wheels, Python {python}, {platform}", audit)


def _locks(state: Context, name: str) -> list[dict[str, Any]]:
    from envlock.audit import audit_lock
    from envlock.lock.codec import load_lock

    spec = state.spec(name)
    documents = []
    for target in spec.targets:
        lock = load_lock(state.project.lock(name, target.name))
        paths = state.fetcher.all(lock.of_kind("pypi"), state.locators(lock, spec), state.output)
        audit = audit_lock(
            lock,
            paths,
            cache=state.config.cache_dir / "audit",
            jobs=_jobs(),
            reporter=state.output,
        )
        document = _shown(state, f"{name} {target.name}", audit)
        documents.append({"name": name, "platform": target.name, **document})
    return documents


def _jobs() -> int:
    return max(1, min(8, len(os.sched_getaffinity(0))))


def _shown(state: Context, title: str, audit: Audit) -> dict[str, Any]:
    from envlock.audit import SEVERITIES
    from envlock.audit.codec import audit_to_data

    say = state.output.result
    counts = {severity: audit.count(severity) for severity in SEVERITIES}
    modules = sum(count for count, _ in audit.importable.values())
    importable = sum(count for _, count in audit.importable.values())
    say(f"{title}: {importable} of {modules} modules import by what can be seen")
    for severity, heading in _HEADINGS.items():
        findings = [finding for finding in audit.findings if finding.severity == severity]
        if not findings:
            continue
        say("")
        say(f"{severity}: {heading} ({len(findings)})")
        for finding in findings:
            for line in _lines(finding):
                say(f"  {line}")
    if counts["hidden"]:
        say("")
        say(f"hidden: {counts['hidden']} in optional, test, vendored and foreign-platform code")
    for note in audit.notes:
        state.output.note(f"not read: {note}")
    return {"counts": counts, **audit_to_data(audit)}


def _lines(finding: Finding) -> list[str]:
    """Return a finding as lines: what, where, by which way, what to add."""
    needs = finding.needs
    what = f"attribute {needs.dotted}" if finding.kind == "attribute-missing" else needs.dotted
    whose = {"": "which nobody here has", "stdlib": "of the standard library"}.get(
        needs.provider, f"of {needs.provider}"
    )
    if finding.severity == "undeclared":
        whose = f"of {needs.provider}, which it does not declare"
    lines = [f"{finding.who.code} needs {what}, {whose}"]
    if finding.kind == "raises":
        lines = [f"{finding.who.code} raises {needs.name} whenever it is imported"]
    who = finding.who
    lines.append(f"    {who.distribution} {who.version}, {who.file}:{who.line}")
    if len(finding.chain) > 1:
        lines.append(f"    reached by import {' > '.join(finding.chain)}")
    if finding.add:
        lines.append(f"    add: {finding.add}")
    return lines
