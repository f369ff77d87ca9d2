"""``envlock nix-seed``: a lock's artifacts into a Nix store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.cli.locks import load_named
from envlock.cli.many import each
from envlock.cli.options import NamesArgument, OfflineOption, PlatformOption
from envlock.cli.output import megabytes
from envlock.sizes import counted

if TYPE_CHECKING:
    from envlock.lock.model import Lock
    from envlock.nixstore import Seedable


@command("nix-seed")
def nix_seed_command(
    context: typer.Context,
    names: NamesArgument = None,
    store: Annotated[
        str | None, typer.Option(help="A Nix store, as nix --store takes it.", metavar="URL")
    ] = None,
    platform: PlatformOption = None,
    offline: OfflineOption = False,
) -> None:
    """Put artifacts into the Nix store, so that Nix builds the image without fetching."""
    from envlock.nixstore import find_nix

    state: Context = context.obj
    state.offline = offline
    find_nix()  # before anything is fetched for it
    outcome = each(
        state.output,
        state.names(names, specs=False),
        lambda name: [_seeded(state, load_named(state, name, platform), store)],
    )
    state.output.document({"environments": outcome.documents, "failed": outcome.failed})
    outcome.leave()


def _seeded(state: Context, lock: Lock, store: str | None) -> dict[str, Any]:
    """Put what a build of one lock needs into a store, and return what there is to tell."""
    from envlock.cli.bases import pulled
    from envlock.nixstore import seed, store_name, store_path

    locators = state.locators(lock, state.optional_spec(lock.name))
    paths = state.fetcher.all(lock.artifacts, locators, state.output) | pulled(state, lock, {})
    files: list[Seedable] = [*lock.artifacts, *(lock.base.blobs if lock.base else ())]
    added = seed(files, paths, state.output, store=store, scratch=state.cache / "partial")
    size = megabytes(sum(file.size for file in files))
    below = f" and {len(lock.base.blobs)} blobs of the base image" if lock.base else ""
    there = f"{counted(len(lock.artifacts), 'artifact')}{below}, {size}, are in the Nix store"
    state.output.message(f"{lock.name} {lock.platform}: {there} ({added} new)")
    return {
        "name": lock.name,
        "platform": lock.platform,
        "added": added,
        "paths": {file.sha256: store_path(store_name(file.file), file.sha256) for file in files},
    }
