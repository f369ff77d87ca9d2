"""``envlock diff``: what one lock has otherwise than another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.difference import as_data, as_markdown, as_text
from envlock.errors import LockError, UsageError

if TYPE_CHECKING:
    from envlock.lock.compare import Difference
    from envlock.lock.model import Lock


@command("diff")
def diff_command(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OLD] [NEW]",
            help="Environments or lock files. One: compared with what git has. None: all are.",
            autocompletion=environments,
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option("--rev", "-r", help="What git has there: a branch, a commit. [default: HEAD]"),
    ] = None,
    platform: Annotated[str | None, typer.Option(help="One platform only.")] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As Markdown, for a pull request.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 where something differs.")
    ] = False,
) -> None:
    """Show what changed in locks: packages, sizes, overrides, and what the spec asks."""
    state: Context = context.obj
    if names is not None and len(names) > 2:
        raise UsageError("two locks are compared with each other, no more")
    if names is not None and len(names) == 2 and revision is not None:
        raise UsageError("--rev is for one environment, two are compared with each other")
    if names is not None and len(names) == 2:
        found = [_pair(state, names[0], names[1], platform)]
    else:
        found = _since(state, names, revision or "HEAD", platform)
    render = as_markdown if markdown else as_text
    for title, difference in found:
        for line in render(title, difference):
            state.output.result(line)
    state.output.document(
        {"locks": [{"title": title, **as_data(difference)} for title, difference in found]}
    )
    if exit_code and any(difference for _, difference in found):
        raise typer.Exit(1)


def _pair(state: Context, old: str, new: str, platform: str | None) -> tuple[str, Difference]:
    from envlock.lock.compare import compare

    locks = [_named(state, name, platform) for name in (old, new)]
    return f"{old} -> {new}", compare(*locks)


def _named(state: Context, name: str, platform: str | None) -> Lock:
    from envlock.cli.commands.build import load_named
    from envlock.lock.codec import load_lock

    return load_lock(Path(name)) if name.endswith(".json") else load_named(state, name, platform)


def _since(
    state: Context, names: list[str] | None, revision: str, platform: str | None
) -> list[tuple[str, Difference]]:
    """Compare the locks of the working tree with those of a revision."""
    from envlock.lock.compare import compare
    from envlock.platforms import PLATFORMS

    found = []
    platforms = [platform] if platform else sorted(PLATFORMS)
    for name in state.names(names):
        seen = False
        for known in platforms:
            old, new = _then(state, name, known, revision), _now(state, name, known)
            if old is not None or new is not None:
                seen = True
                found.append((f"{name} {known}", compare(old, new)))
        if not seen and names:
            raise LockError(
                f"{name} is not locked, and was not at {revision}",
                hint=f"run envlock solve {name}",
            )
    return found


def _now(state: Context, name: str, platform: str) -> Lock | None:
    from envlock.lock.codec import load_lock

    path = state.project.lock(name, platform)
    return load_lock(path) if path.exists() else None


def _then(state: Context, name: str, platform: str, revision: str) -> Lock | None:
    from envlock.lock.codec import parse_lock
    from envlock.revisions import file_at

    shown = state.project.shown(state.project.lock(name, platform))
    text = file_at(state.project.root, shown, revision)
    return parse_lock(text, f"{revision}:{shown}") if text is not None else None
