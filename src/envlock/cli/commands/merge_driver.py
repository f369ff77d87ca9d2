"""``envlock merge-driver``: what git runs to merge locks."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.errors import EnvlockError

if TYPE_CHECKING:
    from envlock.lock.model import Lock


class MergeConflictError(EnvlockError):
    """Both sides changed the same part of a lock."""


def _side(name: str, help_text: str) -> typer.models.ArgumentInfo:
    argument: typer.models.ArgumentInfo = typer.Argument(
        metavar=name, help=help_text, exists=True, dir_okay=False, show_default=False
    )
    return argument


@command("merge-driver")
def merge_driver_command(
    context: typer.Context,
    base: Annotated[Path, _side("BASE", "The common ancestor's lock, or an empty file: git's %O.")],
    ours: Annotated[Path, _side("OURS", "Our lock; the result is written here: git's %A.")],
    theirs: Annotated[Path, _side("THEIRS", "Their lock: git's %B.")],
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="The lock's name in messages: git's %P.")
    ] = None,
) -> None:
    """Merge two locks, package by package; git runs this where it is told to (see the docs).

    Exit code 1 where both sides changed the same: ours is taken then, and a solve sorts it out.
    """
    from envlock.files import write_atomically
    from envlock.lock.codec import dump_lock
    from envlock.lock.merge import merge

    state: Context = context.obj
    shown = path or str(ours)
    try:
        merged = merge(_read(base, shown), _lock(ours, shown), _lock(theirs, shown))
    except EnvlockError:
        _merge_as_text(base, ours, theirs)
        raise
    write_atomically(ours, dump_lock(merged.lock).encode())
    name = merged.lock.name
    if merged.conflicts:
        raise MergeConflictError(
            "both sides changed the same",
            where=shown,
            details=[f"  {line}" for line in merged.conflicts],
            hint=f"merge envs/{name}.yaml, run envlock solve {name}, then git add {shown}",
        )
    if merged.lock.merged:
        state.output.message(
            f"{shown}: joined; envlock solve {name} looks whether the packages fit together"
        )
    state.output.document(
        {
            "name": name,
            "platform": merged.lock.platform,
            "path": shown,
            "merged": merged.lock.merged,
        }
    )


def _read(file: Path, shown: str) -> Lock | None:
    return _lock(file, shown) if file.stat().st_size else None


def _lock(file: Path, shown: str) -> Lock:
    from envlock.lock.codec import load_lock

    try:
        return load_lock(file)
    except EnvlockError as error:
        error.where = (error.where or str(file)).replace(str(file), shown)
        raise


def _merge_as_text(base: Path, ours: Path, theirs: Path) -> None:
    """Leave what git leaves without a driver, with its markers: ours alone would pass for it."""
    words = ["-L", "ours", "-L", "base", "-L", "theirs", str(ours), str(base), str(theirs)]
    subprocess.run(["git", "merge-file", "-q", *words], check=False)
