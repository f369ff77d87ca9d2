"""``envlock outdated``: what has moved since the locks were made, and stale overrides."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.cli.locks import check_platform
from envlock.cli.many import check_all, each
from envlock.cli.options import AllOption, NamesArgument, OfflineOption
from envlock.cli.stale import deletion
from envlock.cli.tables import table
from envlock.errors import LockError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.model import Lock
    from envlock.outdated import Outlook, OverrideState, PackageState
    from envlock.outdated.model import BaseState
    from envlock.spec.model import Spec, Target

_UNKNOWN = "-"


@command("outdated")
def outdated_command(
    context: typer.Context,
    names: NamesArgument = None,
    platform: Annotated[
        str | None, typer.Option(metavar="PLATFORM", help="One platform only.")
    ] = None,
    everything: AllOption = False,
    up_to_date: Annotated[
        bool, typer.Option("--up-to-date", help="Show the packages that are up to date, too.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit with 1 for an override that is stale, or that upstream can do without, and "
            "for a yanked file.",
        ),
    ] = False,
    offline: OfflineOption = False,
) -> None:
    """Show newer versions of locked packages, and whether overrides are still needed.

    "allowed" is what envlock solve -U would lock, "newest" the newest that the platform takes.
    """
    from envlock.outdated import outlook_to_data

    state: Context = context.obj
    state.offline = offline
    _check_all(names, everything)

    def one(name: str) -> list[Outlook]:
        spec = state.spec(name)
        targets = [target for target in spec.targets if platform in (None, target.name)]
        return [_look(state, spec, target) for target in targets]

    if platform is not None:
        check_platform(platform)
    outcome = each(state.output, state.names(names), one)
    outlooks = outcome.documents
    if not outlooks and not outcome.errors:
        raise UsageError(f"no environment that is asked for is for {platform}")
    for outlook in outlooks:
        _show(state, outlook, every=up_to_date)
    environments = [outlook_to_data(outlook) for outlook in outlooks]
    state.output.document({"environments": environments, "failed": outcome.failed})
    wrong = strict and any(outlook.stale or outlook.yanked for outlook in outlooks)
    outcome.leave(*([1] if wrong else []))


def _check_all(names: list[str] | None, everything: bool) -> None:
    """Refuse names beside ``--all``, which once was what ``--up-to-date`` is."""
    try:
        check_all(names, everything)
    except UsageError as error:
        error.hint = f"{error.hint}; --up-to-date shows the packages that are up to date, too"
        raise


def _look(state: Context, spec: Spec, target: Target) -> Outlook:
    from envlock.fetch.indexes import SimpleIndex
    from envlock.outdated import Sources, look

    sources = Sources(
        solvers=state.solvers(spec), index=SimpleIndex(state.index_urls(spec), state.http)
    )
    text = state.project.spec(spec.name).read_text("utf-8-sig")
    lock = _locked(state, spec, target)
    found = look(spec, target, lock, sources, state.output, text=text)
    return dataclasses.replace(found, base=_base(state, lock))


def _base(state: Context, lock: Lock) -> BaseState | None:
    if lock.base is None or state.offline:
        return None
    from envlock.cli.bases import moved
    from envlock.outdated.model import BaseState

    now = moved(state, lock.base)
    return BaseState(reference=lock.base.reference, locked=lock.base.index, now=now)


def _locked(state: Context, spec: Spec, target: Target) -> Lock:
    from envlock.lock.check import differences
    from envlock.spec.projection import project

    if not state.project.lock(spec.name, target.name).exists():
        raise LockError(
            f"{spec.name} is not locked for {target.name}", hint=f"run envlock solve {spec.name}"
        )
    lock = state.lock(spec.name, target.name)
    if differences(project(spec, target.name), lock):
        state.output.warn(
            f"{spec.file} has changed since it was locked: allowed is what the spec says now"
        )
    return lock


def _show(state: Context, outlook: Outlook, *, every: bool) -> None:
    say = state.output.result
    shown = [one for one in outlook.packages if every or one.behind]
    say(f"{outlook.name} {outlook.platform}: {_summary(outlook)}")
    if shown:
        head = ["package", "kind", "locked", "allowed", "newest", ""]
        table(state.output, [head, *map(_row, shown)])
    if outlook.base is not None and outlook.base.moved:
        now = outlook.base.now or "nothing any more"
        say(f"base image {outlook.base.reference}: locked is {outlook.base.locked}, it is {now}")
    if outlook.problem:
        state.output.warn(f"envlock solve -U {outlook.name} would fail: {outlook.problem}")
    for override in outlook.overrides:
        for line in _override(override):
            say(line)


def _summary(outlook: Outlook) -> str:
    movable = sum(one.movable for one in outlook.packages)
    behind = sum(one.behind for one in outlook.packages)
    if not behind:
        number = len(outlook.packages)
        return f"all {number} packages are the newest" if number != 1 else "it is the newest"
    text = f"{movable or 'none'} of {len(outlook.packages)} packages would move with "
    text += f"envlock solve -U {outlook.name}"
    if behind == movable:
        return text
    return f"{text}, {behind - movable}{' more' if movable else ''} could if the spec let them"


def _row(one: PackageState) -> list[str]:
    return [
        one.name,
        one.kind,
        one.locked,
        one.allowed or _UNKNOWN,
        one.newest or _UNKNOWN,
        ", ".join(_remarks(one)),
    ]


def _remarks(one: PackageState) -> Iterator[str]:
    if one.forced:
        yield "override"
    if one.yanked:
        yield f"yanked: {one.yanked_because}" if one.yanked_because else "yanked"
    if one.gone:
        yield "no longer offered"
    if one.kind == "debian" and one.movable and one.source == "debian-security":
        yield "security"


def _override(one: OverrideState) -> Iterator[str]:
    yield f"override {one.package} {one.version}: {_STATES[one.state]}"
    yield from (f"  {reason}" for reason in one.reasons)
    yield from (f"  ({note})" for note in one.notes)
    if one.hint:
        yield f"  hint: {one.hint}"
    if one.state == "stale" and one.lines is not None:
        yield f"  the override is {deletion(one.where.split(':')[0], one.lines)}"


_STATES = {
    "needed": "needed, as far as is known",
    "replaceable": "upstream can do without it",
    "changed": "upstream pins something else now",
    "stale": "stale",
}
