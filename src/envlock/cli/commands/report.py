"""``envlock report``: an environment as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.locks import load_named
from envlock.cli.options import NameArgument, PlatformOption
from envlock.cli.output import megabytes
from envlock.errors import LockError, StaleLockError, UsageError
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.model import Lock
    from envlock.lock.proof import Proof
    from envlock.report.model import Page


@command("report")
def report_command(
    context: typer.Context,
    name: NameArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where it goes. [default: build/NAME.html]"
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|LOCK|REVISION",
            help="Show what changed since another environment, lock file, or git revision.",
            autocompletion=environments,
        ),
    ] = None,
    platform: PlatformOption = None,
) -> None:
    """Write one HTML page: what the image is made of, overrides, who requires whom.

    The page needs no network and no scripts; it is made from the lock alone.
    """
    from envlock.files import write_atomically
    from envlock.report import Subject, gather, render

    state: Context = context.obj
    lock = load_named(state, name, platform, verb="shows")
    proof = _proof(state, lock)
    page = gather(
        Subject(
            lock=lock,
            others=tuple(_others(state, lock)),
            proof=proof,
            against=_against(state, against, lock) if against else None,
        )
    )
    text = render(page).encode()
    target = (output or _usual_place(state, name)).absolute()
    if target.is_dir():
        raise UsageError("a page is written to a file", where=str(target), hint="-o FILE.html")
    write_atomically(target, text)
    _tell(state, lock, page, state.project.shown(target), len(text))


def _usual_place(state: Context, name: str) -> Path:
    """Return where a page goes that is to go nowhere else, in a folder that is there."""
    from envlock.image.layout import project_folder

    target = state.project.root / "build" / f"{name}.html"
    project_folder(target.parent)
    return target


def _tell(state: Context, lock: Lock, page: Page, shown: str, size: int) -> None:
    """Tell what page was written where; size in bytes."""
    state.output.message(
        f"{lock.name} {lock.platform}: {counted(len(page.packages), 'package')}, "
        f"{counted(len(page.cards), 'override')}, {megabytes(size)} -> {shown}"
    )
    state.output.document(
        {
            "name": lock.name,
            "platform": lock.platform,
            "output": shown,
            "bytes": size,
            "packages": len(page.packages),
            "layers": len(page.layers),
            "overrides": [card.package for card in page.cards],
            "proof": page.seen.date if page.seen else None,
            "shared_with": list(page.others),
            "against": page.against.title if page.against else None,
        }
    )


def _others(state: Context, lock: Lock) -> Iterator[Lock]:
    """Yield the project's other locks for this platform; one that is damaged is left out."""
    for name in state.project.names():
        if name != lock.name and state.project.lock(name, lock.platform).exists():
            try:
                yield state.lock(name, lock.platform)
            except (LockError, StaleLockError) as error:
                state.output.warn(f"{error.where}: {error.message}; left out")


def _proof(state: Context, lock: Lock) -> Proof | None:
    """Return the proof beside the lock, else what this machine proved of the recorded image."""
    from envlock.lock.proof import load_proof, proof_path
    from envlock.report import recalled

    path = proof_path(state.project.root / "locks", lock.name, lock.platform)
    if path.exists():
        return load_proof(path, state.project.shown(path))
    return recalled(state.cache, lock)


def _against(state: Context, text: str, lock: Lock) -> tuple[str, Lock]:
    """Return the lock that is meant, and a name for it."""
    from envlock.lock.codec import load_lock, parse_lock
    from envlock.revisions import file_at

    if text.endswith(".json"):
        return text, load_lock(Path(text))
    if text in state.project.names():
        return text, load_named(state, text, lock.platform, verb="shows")
    shown = state.project.shown(state.project.lock(lock.name, lock.platform))
    found: Any = file_at(state.project.root, shown, text)
    if found is None:
        raise LockError(f"{lock.name} was not locked at {text}", where=shown)
    return f"{lock.name} at {text}", parse_lock(found, f"{text}:{shown}")
