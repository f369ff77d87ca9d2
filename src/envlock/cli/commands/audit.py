"""``envlock audit``: what the locked code asks for and will not find."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.cli.locks import check_platform
from envlock.cli.many import Judged, Outcome, each, settle
from envlock.cli.options import NamesArgument, OfflineOption
from envlock.errors import EnvlockError, UsageError
from envlock.sizes import counted, whole_number

if TYPE_CHECKING:
    from envlock.audit import Audit
    from envlock.spec.model import Spec, Target

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


_PACKAGES = (".whl", ".conda", ".tar.bz2")


class AuditFailedError(EnvlockError):
    """The audit found imports that fail."""


_Artifacts = Annotated[
    list[Path] | None,
    typer.Option(
        "--artifacts",
        metavar="FILE...",
        help="Audit these wheels and conda packages instead.",
        exists=True,
        dir_okay=False,
    ),
]
_Python = Annotated[
    str | None,
    typer.Option(
        metavar="VERSION", help="With --artifacts: the Python that runs them. [default: 3.11]"
    ),
]
_Platform = Annotated[
    str | None,
    typer.Option(
        metavar="PLATFORM",
        help="One of the locked platforms; with --artifacts the one that runs them. "
        "[default: all; linux-64]",
    ),
]
_Advise = Annotated[
    bool, typer.Option("--advise", help="Search for versions that need less of an override.")
]
_AdviseLimit = Annotated[
    int,
    typer.Option(
        "--advise-limit", metavar="N", min=1, help="Versions of a package that are tried."
    ),
]
_Vulnerabilities = Annotated[
    Path | None,
    typer.Option(
        "--vulnerabilities",
        metavar="PATH",
        help="Compare locks with these advisories instead (OSV: a JSON file, folder or zip).",
    ),
]


@command("audit")
def audit_command(
    context: typer.Context,
    names: NamesArgument = None,
    artifacts: _Artifacts = None,
    python: _Python = None,
    platform: _Platform = None,
    offline: OfflineOption = False,
    advise: _Advise = False,
    advise_limit: _AdviseLimit = 12,
    vulnerabilities: _Vulnerabilities = None,
) -> None:
    """Tell which imports, modules and names will not be there, without installing anything.

    Of an environment it also tells what each override fixes and breaks, and what is accepted.
    """
    state: Context = context.obj
    state.offline = offline
    if platform is not None:
        check_platform(platform)
    if python is not None and artifacts is None:
        raise UsageError("--python is for --artifacts: an environment's lock has its own")
    if platform is not None and (advise or vulnerabilities is not None):
        raise UsageError("--platform is for plain audits: these look at all that are locked")
    if vulnerabilities is not None:
        if advise or artifacts is not None:
            raise UsageError("--vulnerabilities looks at locks, and at nothing else besides")
        _vulnerabilities(state, names, vulnerabilities)
        return
    if advise:
        _advise(state, names, artifacts, advise_limit)
        return
    if artifacts is not None:
        paths = [*artifacts, *map(Path, names or ())]
        outcome = Outcome([_files(state, paths, python or "3.11", platform or "linux-64")])
    else:
        outcome = each(state.output, state.names(names), lambda n: _locks(state, n, platform))
    settle(state.output, outcome, "audits")


def _vulnerabilities(state: Context, names: list[str] | None, path: Path) -> None:
    from envlock.cli.vulnerabilities import check_vulnerabilities, read

    advisories = read(state, path)
    asked = state.names(names, specs=False)
    outcome = each(state.output, asked, lambda name: check_vulnerabilities(state, name, advisories))
    settle(state.output, outcome, "environments")


def _advise(
    state: Context, names: list[str] | None, artifacts: list[Path] | None, limit: int
) -> None:
    from envlock.advise import Limits
    from envlock.cli.advising import advise_on

    if artifacts is not None:
        raise UsageError(
            "--advise needs a spec to change, and --artifacts are only files",
            hint="write envlock audit NAME --advise",
        )
    limits = Limits(versions=limit, trials=5 * limit)
    outcome = each(
        state.output, state.names(names), lambda name: advise_on(state, state.spec(name), limits)
    )
    state.output.document({"environments": outcome.documents, "failed": outcome.failed})
    outcome.leave()


def _files(state: Context, paths: list[Path], python: str, platform: str) -> Judged:
    from envlock.audit import audit_wheels, target_of

    parts = python.split(".")
    if len(parts) != 2 or not None not in map(whole_number, parts):
        raise UsageError(f"{python!r} is no Python version", hint="write --python 3.11")
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise UsageError(f"there is no file {missing[0]}")
    other = [str(path) for path in paths if not path.name.endswith(_PACKAGES)]
    if other:
        raise UsageError(
            "this is neither a wheel nor a conda package, by its name",
            where=other[0],
            hint=f"--artifacts takes files that end in {', '.join(_PACKAGES)}",
        )
    audit = audit_wheels(
        paths,
        target_of(python, platform),
        cache=state.cache / "audit",
        jobs=_jobs(),
        reporter=state.output,
    )
    title = f"{counted(len(paths), 'package')}, Python {python}, {platform}"
    _show(state, title, audit, frozenset())
    broken = audit.count("breaks-import")
    problem = AuditFailedError(
        f"{counted(broken, 'import')} cannot work",
        hint="choose other versions; envlock audit --json has every finding",
    )
    return Judged(document=_document(audit), problem=problem if broken else None)


def _locks(state: Context, name: str, platform: str | None) -> list[Judged]:
    spec = state.spec(name)
    targets = [target for target in spec.targets if platform in (None, target.name)]
    if not targets:
        raise UsageError(f"{name} is not for {platform}", where=spec.file)
    return [_lock(state, spec, target) for target in targets]


def _lock(state: Context, spec: Spec, target: Target) -> Judged:
    from envlock.audit import Audit
    from envlock.cli.reviewing import lines_of, review_lock
    from envlock.lock.check import differences
    from envlock.review import problem_of, review_to_data
    from envlock.spec.projection import project

    lock = state.lock(spec.name, target.name)
    head = {"name": spec.name, "platform": target.name}
    if differences(project(spec, target.name), lock):
        state.output.warn(
            f"{spec.file} has changed since it was locked; this audits the lock, and judges it "
            f"by what the spec says now. envlock solve {spec.name} renews it"
        )
    found = review_lock(state, spec, target, lock, lenient=True)
    if found is None:
        state.output.result(f"{spec.name} {target.name}: no Python packages to audit")
        return Judged(document={**head, **_document(Audit(findings=())), "review": None})
    accepted = frozenset(f.key for line in found.accepted for f in line.findings)
    _show(state, f"{spec.name} {target.name}", found.audit, accepted)
    for item in found.overrides:
        state.output.result("")
        state.output.result(f"override {item.override.package} {item.override.version}:")
        for line in lines_of(found, item):
            state.output.result(f"  {line}")
    document = {**head, **_document(found.audit), "review": review_to_data(found)}
    return Judged(document=document, problem=problem_of(spec, found, strict=True))


def _jobs() -> int:
    return max(1, min(8, len(os.sched_getaffinity(0))))


def _document(audit: Audit) -> dict[str, Any]:
    from envlock.audit import SEVERITIES
    from envlock.audit.codec import audit_to_data

    counts = {severity: audit.count(severity) for severity in SEVERITIES}
    return {"counts": counts, **audit_to_data(audit)}


def _show(state: Context, title: str, audit: Audit, accepted: frozenset[str]) -> None:
    """Print the findings; ``accepted``: the keys of those that the spec accepts.

    Places at which a distribution misses the same thing are one entry, but with ``-v``.
    """
    from envlock.audit.words import further, lines, together

    say = state.output.result
    modules = sum(count for count, _ in audit.importable.values())
    importable = sum(count for _, count in audit.importable.values())
    say(f"{title}: {importable} of {modules} modules import by what can be seen")
    for severity, heading in _HEADINGS.items():
        findings = [finding for finding in audit.findings if finding.severity == severity]
        if not findings:
            continue
        known = sum(finding.key in accepted for finding in findings)
        say("")
        say(f"{severity}: {heading} ({len(findings)}{f', {known} accepted' if known else ''})")
        every = [[finding] for finding in findings]
        for first, *others in every if state.output.verbose else together(findings, accepted):
            for line in (*lines(first, accepted=first.key in accepted), *further(others)):
                say(f"  {line}")
    hidden = audit.count("hidden")
    if hidden:
        say("")
        say(f"hidden: {hidden} in optional, test, vendored and foreign-platform code")
    for note in audit.notes:
        state.output.note(f"not read: {note}")
    if audit.unverified:
        state.output.message(f"read in parts, and not verified yet: {', '.join(audit.unverified)}")
