"""``envlock diff``: what one lock has otherwise than another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.locks import check_platform
from envlock.errors import LockError, UsageError

if TYPE_CHECKING:
    from envlock.layers.changed import LayerChanges
    from envlock.lock.compare import Difference
    from envlock.lock.model import Lock


class Form(Enum):
    """How differences are written."""

    TEXT = "text"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """Two locks, compared."""

    title: str
    difference: Difference
    layers: LayerChanges


@command("diff")
def diff_command(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|LOCK",
            help="Two are compared with each other, one with what git has of it; none: all are.",
            autocompletion=environments,
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--rev",
            "-r",
            metavar="REVISION",
            help="What git has there: a branch, a commit. [default: HEAD]",
        ),
    ] = None,
    platform: Annotated[
        str | None, typer.Option(metavar="PLATFORM", help="One platform only.")
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="Plain text, or Markdown for a pull request.")
    ] = Form.TEXT,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The same as --format markdown.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 where something differs.")
    ] = False,
) -> None:
    """Show what changed in locks: packages, sizes, overrides, and what the spec asks."""
    from envlock.cli.difference import as_data, as_markdown, as_text

    state: Context = context.obj
    if names is not None and len(names) > 2:
        raise UsageError("two locks are compared with each other, no more")
    if names is not None and len(names) == 2 and revision is not None:
        raise UsageError("--rev is for one environment, two are compared with each other")
    if names is not None and len(names) == 2:
        found = [_pair(state, names[0], names[1], platform)]
    else:
        found = _since(state, names, revision or "HEAD", platform)
    markdown = markdown or form is Form.MARKDOWN
    render = as_markdown if markdown else as_text
    for one in found:
        for line in render(one.title, one.difference, one.layers):
            state.output.result(line, verbatim=markdown)
    state.output.document(
        {"locks": [{"title": o.title, **as_data(o.difference, o.layers)} for o in found]}
    )
    if exit_code and any(one.difference for one in found):
        raise typer.Exit(1)


def _compared(title: str, old: Lock | None, new: Lock | None) -> _Compared:
    from envlock.layers.changed import changed_layers
    from envlock.lock.compare import compare

    return _Compared(title=title, difference=compare(old, new), layers=changed_layers(old, new))


def _pair(state: Context, old: str, new: str, platform: str | None) -> _Compared:
    locks = [_named(state, name, platform) for name in (old, new)]
    return _compared(f"{old} -> {new}", *locks)


def _named(state: Context, name: str, platform: str | None) -> Lock:
    from envlock.cli.locks import load_named
    from envlock.lock.codec import load_lock

    return load_lock(Path(name)) if name.endswith(".json") else load_named(state, name, platform)


def _since(
    state: Context, names: list[str] | None, revision: str, platform: str | None
) -> list[_Compared]:
    """Compare the locks of the working tree with those of a revision."""
    from envlock.platforms import PLATFORMS

    if platform is not None:
        check_platform(platform)
    found = []
    platforms = [platform] if platform else sorted(PLATFORMS)
    for name in state.names(names):
        seen = False
        for known in platforms:
            old, new = _then(state, name, known, revision), _now(state, name, known)
            if old is not None or new is not None:
                seen = True
                found.append(_compared(f"{name} {known}", old, new))
        if not seen and names:
            raise LockError(
                f"{name} is not locked, and was not at {revision}",
                hint=f"run envlock solve {name}",
            )
    return found


def _now(state: Context, name: str, platform: str) -> Lock | None:
    there = state.project.lock(name, platform).exists()
    return state.lock(name, platform) if there else None


def _then(state: Context, name: str, platform: str, revision: str) -> Lock | None:
    from envlock.lock.codec import parse_lock
    from envlock.revisions import file_at

    shown = state.project.shown(state.project.lock(name, platform))
    text = file_at(state.project.root, shown, revision)
    return parse_lock(text, f"{revision}:{shown}") if text is not None else None
