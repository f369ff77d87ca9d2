"""The options of ``envlock build`` that say where images go, and what is told of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.output import megabytes
from envlock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.cli.context import Context
    from envlock.delivery.load import Load
    from envlock.delivery.push import Push
    from envlock.pipeline import Destination
    from envlock.registry.reference import Reference


class Engine(StrEnum):
    """Container engines that can load an image."""

    podman = "podman"
    docker = "docker"


PushOption = Annotated[
    str | None,
    typer.Option(
        "--push",
        metavar="REF",
        help="Push to a registry, and leave no layout here unless -o names one; "
        "{name} stands for the environment's name.",
    ),
]
LoadOption = Annotated[
    Engine | None, typer.Option("--load", help="Give the image to a container engine.")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Speak plain http with registries.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where the images of one environment go; ``keep``: a layout or tar stays, too."""

    keep: bool
    push: Push | None = None
    load: Load | None = None
    destinations: tuple[Destination, ...] = ()
    told: dict[str, Any] = field(default_factory=dict)

    def finish(self, state: Context) -> None:
        """Give the pushed images their name, and say what was done."""
        if self.load is not None:
            self.told["loaded"] = {"engine": self.load.engine, "image": self.load.image}
            state.output.message(f"loaded into {self.load.engine} as {self.load.image}")
        if self.push is None:
            return
        digest = self.push.finish()
        sent = self.push.sent
        self.told["pushed"] = {
            "reference": str(self.push.reference),
            "digest": digest,
            "sent": sent.sent,
            "mounted": sent.mounted,
            "there": sent.there,
        }
        state.output.message(
            f"pushed {self.push.reference} ({digest}): {megabytes(sent.sent)} sent, "
            f"{megabytes(sent.mounted)} mounted, {megabytes(sent.there)} there already"
        )


def push_references(push: str | None, names: Sequence[str]) -> dict[str, Reference]:
    """Return what each environment is pushed as; raises UsageError."""
    from dataclasses import replace

    from envlock.registry.reference import parse_reference

    if push is None:
        return {}
    if len(names) > 1 and "{name}" not in push:
        raise UsageError(
            f"--push names one image, and {len(names)} environments are to be built",
            hint="write {name} in it: --push registry.example.com/team/{name}:tag",
        )
    found = {}
    for name in names:
        reference = parse_reference(push.replace("{name}", name), what="--push")
        if reference.digest:
            raise UsageError("--push: a digest cannot be chosen", hint="name a tag")
        found[name] = replace(reference, tag=reference.tag or "latest")
    return found


def delivery(
    state: Context,
    name: str,
    reference: Reference | None,
    engine: Engine | None,
    output: Path | None,
) -> Delivery:
    """Return where the images of an environment go.

    What can be wrong with that is found now: raises UsageError, RegistryError.
    """
    push, load = None, None
    if engine is not None:
        from envlock.delivery.load import Load

        load = Load(engine.value, name, os.environ.get("PATH", os.defpath), state.output)
    if reference is not None:
        from envlock.delivery.push import Push

        push = Push(reference, state.registries, state.cache, state.output)
        push.check()
    return Delivery(
        keep=output is not None or (push is None and load is None),
        push=push,
        load=load,
        destinations=tuple(one for one in (load, push) if one is not None),
    )
