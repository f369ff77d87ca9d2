"""``envlock cache``: where the cache is, what it holds, and what of it can go."""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import app, command, texts
from envlock.cli.context import Context
from envlock.cli.output import megabytes
from envlock.cli.tables import table
from envlock.errors import UsageError
from envlock.sizes import counted, size_in_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.cache.inventory import Inventory
    from envlock.cache.prune import Doomed, Verdict

_DAY = 24 * 60 * 60


class _Kind(Enum):
    """The kinds of :data:`envlock.cache.kinds.KINDS`, which takes longer to load."""

    DOWNLOADS = "downloads"
    PACKED = "packed"
    UNPACKED = "unpacked"
    INDEXES = "indexes"
    AUDIT = "audit"
    NOTES = "notes"


_KeepDays = Annotated[
    float | None,
    typer.Option(
        "--keep-days",
        metavar="N",
        min=0,
        max=100_000,
        help="Remove what was not used for so many days.",
    ),
]
_MaxSize = Annotated[
    str | None,
    typer.Option(
        "--max-size",
        metavar="SIZE",
        help="Remove what was used least recently until no more is left: 20GB, 500MiB.",
    ),
]
_KindOption = Annotated[
    list[_Kind] | None,
    typer.Option("--kind", metavar="KIND", help="Only this kind, as cache info names it."),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only tell what would go.")]

cache = typer.Typer(
    name="cache",
    help="Where the cache is, what it holds, and what of it can go.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(cache, **texts("cache"))


@command("dir", cache)
def dir_command(context: typer.Context) -> None:
    """Print the cache's folder."""
    state: Context = context.obj
    state.output.result(str(state.config.cache_dir))
    state.output.document({"dir": str(state.config.cache_dir)})


@command("info", cache)
def info_command(context: typer.Context) -> None:
    """Tell what the cache holds, by kind.

    How much of it nothing needs is told as well.
    """
    from envlock.cache.inventory import bytes_besides, take_inventory
    from envlock.cache.kinds import KINDS
    from envlock.leases import holders

    state: Context = context.obj
    folder = state.config.cache_dir.absolute()
    found = take_inventory(folder)
    commands, besides = len(holders(folder)), bytes_besides(folder, found)
    kinds = [_kind(found, kind) for kind in KINDS]
    state.output.message(str(folder))
    rows = [["", "entries", "size", "useless", "oldest use", ""]]
    rows += [[*_row(one), KINDS[one["kind"]]] for one in kinds]
    rows.append(["all", str(len(found.entries)), megabytes(found.size()), "", "", ""])
    table(state.output, rows)
    unpacked = found.size("unpacked")
    if unpacked * 2 > found.size():
        state.output.message(
            f"{megabytes(unpacked)} are unpacked images, made again from build/ when they are "
            "used: envlock cache prune --kind unpacked --keep-days 0"
        )
    if besides:
        state.output.message(f"{megabytes(besides)} in this folder are no entries of the cache")
    if commands:
        state.output.message(f"in use by {counted(commands, 'running command')}")
    state.output.document(
        {
            "dir": str(folder),
            "kinds": kinds,
            "bytes": found.size(),
            "other_bytes": besides,
            "running_commands": commands,
        }
    )


@command("prune", cache)
def prune_command(
    context: typer.Context,
    keep_days: _KeepDays = None,
    max_size: _MaxSize = None,
    kind: _KindOption = None,
    dry_run: _DryRun = False,
) -> None:
    """Remove what no run needs, and what was used least.

    What was used least recently goes first, as far as age and size ask for it. What running
    commands use stays, and so does everything that is not envlock's.
    """
    from envlock.cache.inventory import take_inventory
    from envlock.cache.kinds import KINDS
    from envlock.cache.prune import judge, remove
    from envlock.leases import holders

    state: Context = context.obj
    largest = _bytes(max_size) if max_size is not None else None
    before = int((time.time() - keep_days * _DAY) * 10**9) if keep_days is not None else None
    folder = state.config.cache_dir.absolute()
    with state.output.task("looking through the cache"):
        found = take_inventory(folder)
    kinds = [one.value for one in kind] if kind else KINDS
    verdict = judge(found, holders(folder), before=before, largest=largest, kinds=kinds)
    with state.output.task("removing"):
        gone = verdict.doomed if dry_run else remove(verdict.doomed)
    _tell(state, folder, found, verdict, gone, largest=largest, dry_run=dry_run)


def _tell(
    state: Context,
    folder: Path,
    found: Inventory,
    verdict: Verdict,
    gone: tuple[Doomed, ...],
    *,
    largest: int | None,
    dry_run: bool,
) -> None:
    from envlock.cache.inventory import size_of
    from envlock.cache.kinds import KINDS

    removed = {id(one.entry) for one in gone}
    left = size_of(entry for entry in found.entries if id(entry) not in removed)
    freed = found.size() - left
    for one in gone:
        shown = one.entry.paths[0].relative_to(folder)
        state.output.note(f"  {shown}: {one.reason}, {megabytes(size_of([one.entry]))}")
    rows = []
    for kind in KINDS:
        mine = [one.entry for one in gone if one.entry.kind == kind]
        if mine:
            rows.append({"kind": kind, "entries": len(mine), "bytes": size_of(mine)})
            state.output.message(f"  {kind}: {len(mine)}, {megabytes(size_of(mine))}")
    if verdict.held:
        state.output.message(
            f"{len(verdict.held)} would go as well, and may be in use by running commands"
        )
    if largest is not None and left > largest:
        state.output.warn(
            f"{megabytes(left)} are left, more than {megabytes(largest)}: the rest may be in use"
        )
    verb = "would free" if dry_run else "freed"
    state.output.result(f"{verb} {megabytes(freed)}, {megabytes(left)} are left")
    state.output.document(
        {
            "dir": str(folder),
            "dry_run": dry_run,
            "removed": rows,
            "freed_bytes": freed,
            "left_bytes": left,
            "in_use": len(verdict.held),
        }
    )


def _kind(found: Inventory, kind: str) -> dict[str, Any]:
    from envlock.cache.inventory import size_of

    mine = [entry for entry in found.entries if entry.kind == kind]
    useless = [entry for entry in mine if entry.useless]
    return {
        "kind": kind,
        "entries": len(mine),
        "bytes": found.size(kind),
        "useless_bytes": size_of(useless),
        "oldest_use": min((entry.used for entry in mine), default=0) // 10**9 or None,
    }


def _row(kind: dict[str, Any]) -> list[str]:
    days = int((time.time() - kind["oldest_use"]) // _DAY) if kind["oldest_use"] else 0
    ago = {0: "today", 1: "yesterday"}.get(days, f"{days} days ago") if kind["entries"] else ""
    useless = megabytes(kind["useless_bytes"]) if kind["useless_bytes"] else ""
    return [kind["kind"], str(kind["entries"]), megabytes(kind["bytes"]), useless, ago]


def _bytes(text: str) -> int:
    try:
        return size_in_bytes(text)
    except ValueError:
        raise UsageError(
            f"--max-size {text}: this is no size", hint="write 20GB, 1.5TB, 500MiB or bytes"
        ) from None
