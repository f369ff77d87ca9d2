"""``--advise``: ways out of overrides and breaks, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.cli.output import megabytes
from envlock.errors import EnvlockError
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.advise import Advice, Change, Limits, Problem, Tools, Way
    from envlock.audit import Finding
    from envlock.cli.context import Context
    from envlock.cli.output import Output
    from envlock.lock.model import Artifact
    from envlock.spec.model import Spec, Target

_SHOWN = 4
_COUNTED = {
    "breaks-import": ("import", "imports"),
    "may-break-import": ("import, perhaps,", "imports, perhaps,"),
    "breaks-module": ("module", "modules"),
    "breaks-call": ("call", "calls"),
}


def advise_on(state: Context, spec: Spec, limits: Limits) -> list[dict[str, Any]]:
    """Search for each target of a spec, print what is found and return it as data."""
    return [_advise(state, spec, target, limits) for target in spec.targets]


def _advise(state: Context, spec: Spec, target: Target, limits: Limits) -> dict[str, Any]:
    from envlock.advise import advice_to_data, advise

    advices = advise(
        spec,
        target,
        tools_of(state, spec),
        state.output,
        limits=limits,
        kept=_locked(state, spec, target),
    )
    title = f"{spec.name} {target.name}"
    for advice in advices:
        show_advice(state.output, title, advice)
    if not advices:
        state.output.result(f"{title}: no override, and no import that fails for what can be seen")
    return {
        "name": spec.name,
        "platform": target.name,
        "advice": [advice_to_data(advice) for advice in advices],
    }


def with_advice(state: Context, spec: Spec, target: Target, error: EnvlockError) -> EnvlockError:
    """Return ``error`` with what a short search finds beside it, and where to find more."""
    from envlock.advise import BRIEF, advise

    lines: list[str] = []
    try:
        advices = advise(
            spec,
            target,
            tools_of(state, spec),
            state.output,
            limits=BRIEF,
            kept=_locked(state, spec, target),
        )
    except EnvlockError:  # what is wrong was told already
        advices = ()
    found = [headline(way) for advice in advices for way in advice.ways[:_SHOWN] if not way.yours]
    more = f"envlock audit {spec.name} --advise"
    if found:
        lines += ["other ways that were looked at:", *(f"  {line}" for line in found)]
        lines.append(f"{more} has the lines to paste and searches further")
    else:
        lines.append(f"{more} searches for versions that need less of this")
    error.details = (*error.details, *lines)  # the hint may end with YAML to paste
    return error


def tools_of(state: Context, spec: Spec) -> Tools:
    """Return the machine's means for a search."""
    from envlock.advise import Tools
    from envlock.fetch.indexes import SimpleIndex

    solvers = state.solvers(spec)
    return Tools(
        uv=solvers.uv,
        metadata=solvers.metadata,
        http=state.http,
        fetcher=state.fetcher,
        index=SimpleIndex(state.index_urls(spec), state.http),
        cache=state.cache / "audit",
        conda=solvers.conda,
    )


def _locked(state: Context, spec: Spec, target: Target) -> tuple[Artifact, ...]:
    """Return the locked conda packages and wheels, where there is a lock that can be read."""
    from envlock.errors import LockError, StaleLockError
    from envlock.lock.codec import load_lock

    path = state.project.lock(spec.name, target.name)
    if not path.is_file():
        return ()
    try:
        lock = load_lock(path)
    except (LockError, StaleLockError) as error:
        state.output.warn(
            f"{state.project.shown(path)}: {error.message}; its versions are not kept"
        )
        return ()
    return (*lock.of_kind("conda"), *lock.of_kind("pypi"))


def show_advice(output: Output, title: str, advice: Advice) -> None:
    """Print the ways out of one problem."""
    say = output.result
    say(f"{title}: {_heading(advice.problem)}")
    for line in _reasons(advice.problem):
        say(f"  {line}")
    for number, way in enumerate(advice.ways, 1):
        say("")
        say(f"  {number}. {headline(way)}")
        for line in _details(way):
            say(f"     {line}")
    if not advice.ways:
        say("")
        say("  no way out was found")
    say("")
    if advice.tried:
        say("  no way out:")
        for line in _failures(advice):
            say(f"    {line}")
    for text in advice.skipped:
        say(f"  not looked at: {text}")
    sets = "set of packages was" if advice.trials == 1 else "sets of packages were"
    say(f"  {advice.trials} {sets} tried, {megabytes(advice.moved)} moved")
    if advice.tried:
        say("  one package was moved at a time: versions that only go together were not tried")


def _heading(problem: Problem) -> str:
    override = problem.override
    if override is not None:
        return f"ways out of the override of {override.package} {override.version}"
    if problem.reason:
        return f"ways out of a conflict: {problem.reason}"
    who = ", ".join(problem.users)
    if problem.package:
        return f"ways out of what {who} needs of {problem.package} {problem.natural}".rstrip()
    return f"ways out of what {who} needs and nobody has"


def _reasons(problem: Problem) -> list[str]:
    """Say what must be gone."""
    override = problem.override
    if override is not None and problem.reason:
        return [f"without it there is no solution: {problem.reason}"]
    if override is not None and not problem.fixes:
        return ["without it nothing is found to break"]
    lines = [f"{finding.text} ({finding.severity})" for finding in problem.fixes[:_SHOWN]]
    more = len(problem.fixes) - len(lines)
    lines += [f"and {more} more"] if more > 0 else []
    if override is None:
        return lines
    natural = f"{problem.package} {problem.natural}" if problem.natural else "without it"
    return [f"it is there for what {natural} breaks:", *(f"  {line}" for line in lines)]


def headline(way: Way) -> str:
    """Return a way out in one line: what, what it voids, what it breaks."""
    change = way.change
    name = f"{change.package} {change.version}".strip()
    if way.yours:
        name += " (yours)"
    if change.kind == "drop":
        name = f"without the override of {change.drops}" if change.drops else "without that line"
    if change.kind == "add":
        name = f"add {', '.join(change.adds)}"
    count = len(way.voids)
    if count:
        void = f"voids {counted(count, 'pin')}"
    else:
        void = "no override needed" if change.kind != "add" else "asked for by name"
    return f"{name}: {void}, {breakage(way.breaks)}"


def breakage(breaks: Sequence[Finding]) -> str:
    """Return what breaks in a few words; what is not found may break as well."""
    if not breaks:
        return "breaks nothing found"
    counts: dict[tuple[str, str], int] = {}
    for finding in breaks:
        key = (finding.severity, finding.who.distribution)
        counts[key] = counts.get(key, 0) + 1
    parts = [
        f"{count} {_COUNTED[severity][count != 1]} in {who}"
        for (severity, who), count in sorted(counts.items())
    ]
    return f"breaks {', '.join(parts)}"


def _details(way: Way) -> list[str]:
    lines = [f"voids {void}" for void in way.voids]
    needs = sorted({f"{f.who.module.split('.')[0]} needs {f.needs.dotted}" for f in way.breaks})
    lines += [f"breaks: {text}" for text in needs]
    if way.also:
        others = ", ".join(way.also)
        lines.append(f"breaking and voiding as much, but further from what is here: {others}")
    if way.moved:
        lines.append(f"moves {'; '.join(way.moved)}")
    if way.unverified:
        lines.append(f"read in parts, not verified: {_listed(way.unverified)}")
    goes = [f"the override of {way.change.drops}"] if way.change.drops else []
    goes += list(way.replaces)
    if way.yaml and goes:
        lines.append(f"in place of {' and '.join(goes)}:")
    elif goes:
        lines.append(f"remove {' and '.join(goes)}")
    lines += [f"  {line}" for line in way.yaml.splitlines()]
    return lines


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _failures(advice: Advice) -> Iterable[str]:
    """Return one line for each reason, with the versions that it holds for."""
    groups: dict[tuple[str, str], list[str]] = {}
    for tried in advice.tried:
        change = tried.change
        key = (change.package if change.version else "", tried.reason)
        groups.setdefault(key, []).append(change.version or _unversioned(change))
    for (package, reason), versions in groups.items():
        yield f"{package} {', '.join(versions)}: {reason}".strip()


def _unversioned(change: Change) -> str:
    """Name a change that asks for no version."""
    if change.kind == "add":
        return f"add {', '.join(change.adds)}" if change.adds else "as it is"
    return "without the override" if change.drops else "without that line"
