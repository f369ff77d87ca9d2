"""``envlock nix-seed``: a lock's artifacts into a Nix store."""

from __future__ import annotations

from typing import Annotated

import typer

from envlock.cli.app import command
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.locks import load_named
from envlock.cli.output import megabytes


@command("nix-seed")
def nix_seed_command(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Environments; all of envs/ by default.", autocompletion=environments),
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="A Nix store, as nix --store takes it.", metavar="URL")
    ] = None,
    platform: Annotated[str | None, typer.Option(help="One of the locked platforms.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use local files only.")] = False,
) -> None:
    """Put artifacts into the Nix store, so that Nix builds the image without fetching."""
    from envlock.nixstore import seed, store_name, store_path

    state: Context = context.obj
    state.offline = offline
    documents = []
    for name in list(names or state.project.names()):
        lock = load_named(state, name, platform)
        locators = state.locators(lock, state.optional_spec(name))
        paths = state.fetcher.all(lock.artifacts, locators, state.output)
        added = seed(
            lock.artifacts,
            paths,
            state.output,
            store=store,
            scratch=state.cache / "partial",
        )
        size = megabytes(sum(artifact.size for artifact in lock.artifacts))
        state.output.message(
            f"{name} {lock.platform}: {len(lock.artifacts)} artifacts, {size}, are in the Nix "
            f"store ({added} new)"
        )
        documents.append(
            {
                "name": name,
                "platform": lock.platform,
                "added": added,
                "paths": {
                    a.sha256: store_path(store_name(a.file), a.sha256) for a in lock.artifacts
                },
            }
        )
    state.output.document({"environments": documents})
