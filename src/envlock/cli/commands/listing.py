"""``envlock list``: the environments, or the packages of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.locks import load_named
from envlock.cli.many import each
from envlock.cli.options import PlatformOption
from envlock.cli.output import megabytes
from envlock.cli.tables import table
from envlock.sizes import counted

if TYPE_CHECKING:
    from envlock.lock.model import Lock
    from envlock.spec.model import Spec


@command("list")
def list_command(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Its packages; the environments by default.",
            autocompletion=environments,
        ),
    ] = None,
    platform: PlatformOption = None,
) -> None:
    """List the environments of the project, or the packages of one."""
    state: Context = context.obj
    if name is not None:
        _packages(state, load_named(state, name, platform))
        return

    def one(name: str) -> list[dict[str, Any]]:
        spec = state.spec(name)
        return [_environment(state, spec, target.name) for target in spec.targets]

    outcome = each(state.output, state.names(None), one)
    rows = outcome.documents
    table(
        state.output,
        [[str(row[key]) for key in ("name", "platform", "state", "shown")] for row in rows],
    )
    documents = [{k: v for k, v in row.items() if k != "shown"} for row in rows]
    state.output.document({"environments": documents, "failed": outcome.failed})
    outcome.leave()


def _environment(state: Context, spec: Spec, platform: str) -> dict[str, Any]:
    from envlock.errors import LockError, StaleLockError
    from envlock.lock.check import differences
    from envlock.spec.projection import project

    row: dict[str, Any] = {"name": spec.name, "platform": platform, "shown": spec.description}
    try:
        lock = state.lock(spec.name, platform)
    except (LockError, StaleLockError) as error:
        there = state.project.lock(spec.name, platform).exists()
        told = {"problem": error.message, **({"shown": error.message} if there else {})}
        return {**row, "state": "damaged" if there else "not locked", **told}
    size = sum(artifact.size for artifact in lock.artifacts)
    fresh = not differences(project(spec, platform), lock)
    return {
        **row,
        "state": "locked" if fresh else "stale",
        "artifacts": len(lock.artifacts),
        "bytes": size,
        "overrides": [override.package for override in lock.overrides],
        "image": lock.built.manifest if lock.built else None,
        "shown": f"{counted(len(lock.artifacts), 'artifact')}, {megabytes(size)}  "
        f"{spec.description}".rstrip(),
    }


def _packages(state: Context, lock: Lock) -> None:
    forced = {override.package for override in lock.overrides}
    table(
        state.output,
        [
            [a.name, a.version, a.kind, megabytes(a.size), "override" if a.name in forced else ""]
            for a in lock.artifacts
        ],
    )
    state.output.document(
        {
            "name": lock.name,
            "platform": lock.platform,
            "packages": [
                {
                    "kind": a.kind,
                    "name": a.name,
                    "version": a.version,
                    "file": a.file,
                    "sha256": a.sha256,
                    "bytes": a.size,
                    "override": a.name in forced,
                }
                for a in lock.artifacts
            ],
        }
    )
