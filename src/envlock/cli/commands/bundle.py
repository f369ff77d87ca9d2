"""``envlock bundle``: a lock and its artifacts as one file, for machines without a network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.cli.options import NameArgument, OfflineOption, PlatformOption
from envlock.cli.output import megabytes
from envlock.errors import UsageError
from envlock.sizes import counted


@command("bundle")
def bundle_command(
    context: typer.Context,
    name: NameArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.tar",
            help="Where it goes. [default: NAME.PLATFORM.bundle.tar]",
        ),
    ] = None,
    platform: PlatformOption = None,
    offline: OfflineOption = False,
) -> None:
    """Write a lock and all its artifacts into one file, for envlock build --from-bundle."""
    from envlock.cli.bases import pulled
    from envlock.cli.locks import load_named
    from envlock.exchange.bundle import pack

    state: Context = context.obj
    state.offline = offline
    lock = load_named(state, name, platform, verb="bundles")
    target = output or Path(f"{name}.{lock.platform}.bundle.tar")
    if target.suffix != ".tar" or target.is_dir():
        raise UsageError(
            "a bundle is written as FILE.tar",
            where=str(target),
            hint="the artifacts in it are compressed already",
        )
    artifacts = state.fetcher.all(
        lock.artifacts, state.locators(lock, state.optional_spec(name)), state.output
    )
    artifacts |= pulled(state, lock, {})
    spec = state.project.spec(name).read_bytes() if name in state.project.names() else None
    size = pack(target.absolute(), lock, spec, artifacts, state.output)
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    count = len(artifacts)
    state.output.message(
        f"{name} {lock.platform}: {counted(count, 'artifact')}, {megabytes(size)} -> {target}"
    )
    state.output.result(f"sha256:{digest}")
    state.output.document(
        {
            "name": name,
            "platform": lock.platform,
            "output": str(target),
            "sha256": digest,
            "bytes": size,
            "artifacts": count,
        }
    )
