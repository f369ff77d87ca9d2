"""Why a conda solve failed: the line of the spec, the virtual package, the override."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from envlock.errors import EnvlockError, OverrideError, UnsatisfiableError
from envlock.solve.conda.offers import Offer, offer
from envlock.solve.conda.records import artifact, entries_on, match_spec, package_record

if TYPE_CHECKING:
    from envlock.solve.conda.solver import Question, Rattler
    from envlock.spec.model import CondaAsked, Override, Spec, Target

_ROOT = re.compile(r"^\s*(?:[├└]─ )?(?:the constraint )?([a-z0-9_][a-z0-9._+-]*)\b")
_NOTHING = re.compile(r"No candidates were found for ([a-z0-9_][a-z0-9._+-]*)")
_GONE = re.compile(
    r"(?:No candidates were found for |[├└]─ )([a-z0-9][a-z0-9._+-]*) (.+?)"
    r"(?:\.$|, for which no candidates were found)"
)
_CANNOT = re.compile(r"the constraint ([a-z0-9_][a-z0-9._+-]*) .*cannot be fulfilled")
_ELSEWHERE = "candidate not in requested channel"
_LATER = "uploaded after the cutoff date"
_WOULD = re.compile(r"[├└]─ (\S+) (.+?)(?:,)? would (?:require|constrain)")
_VIRTUAL = re.compile(r"(__[a-z0-9_]+)( [^,]+?)?(?:,|$)")
_MISSING = re.compile(r"for which no candidates|which conflicts with")
_KEYS = {"__cuda": "cuda", "__glibc": "glibc", "__linux": "linux", "__archspec": "archspec"}


def explain(
    failure: UnsatisfiableError, spec: Spec, target: Target, rattler: Rattler, question: Question
) -> EnvlockError:
    """Return a better error than ``failure``: led by the spec's line that asked for it."""
    return (
        _unlisted(spec, rattler, question)
        or _virtual(failure, spec, target, question)
        or _too_new(failure, spec)
        or _python(failure, spec, target, rattler)
        or _by_line(failure, spec, target, rattler)
    )


def _unlisted(spec: Spec, rattler: Rattler, question: Question) -> EnvlockError | None:
    """Force the versions on everybody: who then disagrees should have been named."""
    if not question.forced:
        return None
    try:
        chosen = [artifact(r, "any") for r in rattler.ask(question.forced_on_everybody())]
    except EnvlockError:
        return None
    by_name = {one.name: one for one in chosen}
    for override in (o for o in spec.overrides if o.kind == "conda"):
        forced = by_name.get(override.package)
        if forced is None:
            continue
        record = package_record(forced)
        for one in chosen:
            for entry in entries_on(one, override.package):
                if one.name not in override.claims and not match_spec(entry).matches(record):
                    return unlisted(override, f"{one.name} {one.version}", one.name, entry)
    return None


def unlisted(override: Override, who: str, key: str, pin: str) -> OverrideError:
    """Return the error for a pin that is voided and not named."""
    lines = [*(f'{name}: "{claim}"' for name, claim in override.claims.items()), f'{key}: "{pin}"']
    return OverrideError(
        f"the override of {override.package} would void a pin that it does not list: "
        f"{who} requires {pin}",
        where=str(override.location),
        hint=f"if that pin may be voided as well, write\n      against: {{{', '.join(lines)}}}",
    )


def _virtual(
    failure: UnsatisfiableError, spec: Spec, target: Target, question: Question
) -> EnvlockError | None:
    """Say which package wants which virtual package, if that is what is missing."""
    there = {n: build if n == "__archspec" else text for n, text, build in question.virtual}
    last: re.Match[str] | None = None
    for line in failure.details:
        would = _WOULD.search(line)
        last = would or last
        found = _VIRTUAL.search(line.partition("─ ")[2] if "─ " in line else line)
        if would or found is None or not _MISSING.search(line):
            continue
        key = _KEYS.get(found[1])
        has = there.get(found[1])
        who = f"{last[1]} {last[2]}" if last else "something"
        place = f"platforms.{target.name}"
        says = f"{place} has {key} {has}" if has else f"{place} has no {key or found[1]}"
        asked = _asked(failure, spec)
        return UnsatisfiableError(
            f"{who} wants {found[1]}{(found[2] or '').removesuffix(' *')}, and {says}",
            where=str(asked.location) if asked else str(_section(spec)),
            details=["rattler's explanation:", *failure.details],
            hint=(
                f"{_change(key, has)} {key} under {place} if every machine that runs "
                "this has it, or "
                if key
                else ""
            )
            + "ask for another build or version",
        )
    return None


def _change(key: str, has: str | None) -> str:
    """Return what is to be done with a key of a platform."""
    if has is None:
        return "add"
    return "set" if key == "archspec" else "raise"


def _too_new(failure: UnsatisfiableError, spec: Spec) -> EnvlockError | None:
    """Say that all that fits is newer than the spec wants to know of."""
    asked = _asked(failure, spec)
    if asked is None or spec.exclude_newer is None:
        return None
    for line, after in itertools.pairwise(failure.details):
        root = _ROOT.match(line.removeprefix("  "))
        if root is not None and root[1] == asked.name and _LATER in after:
            return UnsatisfiableError(
                f"all of {asked.spec} is newer than exclude-newer "
                f"({spec.exclude_newer:%Y-%m-%dT%H:%M:%SZ})",
                where=str(asked.location),
                details=["rattler's explanation:", *failure.details],
                hint="move exclude-newer, or ask for an older version; a channel that tells when "
                "it indexed a package is believed, else the build's date counts",
            )
    return None


def _python(
    failure: UnsatisfiableError, spec: Spec, target: Target, rattler: Rattler
) -> EnvlockError | None:
    """Say that nothing fits the spec's Python, where no line of the conda section asks for one."""
    asked = _asked(failure, spec)
    if asked is None or asked.name == "python":
        return None
    if not any(f"the constraint python {spec.python}.*" in line for line in failure.details):
        return None
    there = offer(rattler, target.name, "python", f"python {spec.python}.*")
    return UnsatisfiableError(
        f"{asked.spec} cannot be had for Python {spec.python} together with the rest",
        where=str(asked.location),
        details=[*there.lines, "rattler's explanation:", *failure.details],
        hint=f'python: is "{spec.python}" in this spec: write another one, or change one of the '
        "lines that the explanation names",
    )


def _by_line(
    failure: UnsatisfiableError, spec: Spec, target: Target, rattler: Rattler
) -> EnvlockError:
    asked = _asked(failure, spec)
    override = next(
        (o for o in spec.overrides if o.kind == "conda" and _mentions(failure, o.package)), None
    )
    gone = _gone(failure, asked)
    channels = ", ".join(channel.name for channel in spec.conda.channels) if spec.conda else ""
    if asked is not None and gone is not None and gone[0] == asked.name:
        message = f"no channel ({channels}) has {asked.spec} for this platform"
    elif asked is not None:
        message = f"{asked.spec} cannot be had together with the rest"
    else:
        message = f"{spec.name}: {failure.message}"
    instead = offer(rattler, target.name, *gone) if gone else Offer()
    where = asked.location if asked else override.location if override else _section(spec)
    return UnsatisfiableError(
        message,
        where=str(where),
        details=[*instead.lines, "rattler's explanation:", *failure.details],
        hint=instead.hint
        or "change one of the lines that the explanation names, or force a package against "
        "another's pin: overrides, with from: conda",
    )


def _gone(failure: UnsatisfiableError, asked: CondaAsked | None) -> tuple[str, str] | None:
    """Return name and match spec of what no channel has."""
    for line in failure.details:
        found = _GONE.search(line)
        if found is not None:
            return found[1], f"{found[1]} {found[2]}"
        if asked is not None and asked.channel is not None and _ELSEWHERE in line:
            return asked.name, asked.bare
    return None


def _section(spec: Spec) -> object:
    return spec.conda.location if spec.conda else spec.file


def _asked(failure: UnsatisfiableError, spec: Spec) -> CondaAsked | None:
    """Return the constraint that cannot hold, or the line that a branch of it starts with."""
    if spec.conda is None:
        return None
    constraints = {asked.name: asked for asked in spec.conda.constraints}
    for line in failure.details:
        cannot = _CANNOT.search(line)
        if cannot is not None and cannot[1] in constraints:
            return constraints[cannot[1]]
    by_name = {asked.name: asked for asked in (*spec.conda.constraints, *spec.conda.dependencies)}
    for line in failure.details:
        nothing = _NOTHING.search(line)
        root = _ROOT.match(line.removeprefix("  "))
        for match in (nothing, root if not line.startswith("     ") else None):
            if match is not None and match[1] in by_name:
                return by_name[match[1]]
    return None


def _mentions(failure: UnsatisfiableError, package: str) -> bool:
    return any(re.search(rf"(?<![\w-]){re.escape(package)} ", line) for line in failure.details)
