"""Builds from a cache's layers: artifacts that are not here, and what must hold then.

Wheels are looked at for paths that two of them have, and conda packages tell more than is in a
layer: their paths, and variables of the image's environment.  Both is needed to find out what an
image is to be.  Where the lock records the image that is known: its layers by their digests, and
the variables by its configuration, whose digest the lock has as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, LockError
from envlock.image.base import parse_config
from envlock.image.config import CONFIG_TYPE, Blob, config_blob
from envlock.image.known import recorded_layers, recorded_on_top
from envlock.layers.plan import COMPILED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.image.base import Foundation
    from envlock.layers.gzipstream import Known, StreamDigests
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Artifact, Lock

_AGAIN = "build without --cache-from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the configuration that a lock records says: variables by name, created in seconds."""

    variables: Mapping[str, str]
    created: int


def is_recorded(
    lock: Lock,
    paths: Mapping[str, Path],
    plans: Sequence[LayerPlan],
    known: Mapping[str, Known],
    config: bytes | None,
) -> bool:
    """Tell whether the image is made without some of its wheels or conda packages.

    Then it has to be the recorded one: every layer must be known from the lock, and with conda
    packages ``config``, the configuration that it records, must be at hand.  Raises LockError
    where that is not so.
    """
    absent = _absent(lock, paths)
    if not absent:
        return False
    recorded = recorded_layers(lock)
    whole = len(recorded) == len(plans) and all(plan.key in known for plan in plans)
    if whole and (config is not None or not lock.of_kind("conda")):
        return True
    what = "wheel" if all(one.kind == "pypi" for one in absent) else "package"
    raise LockError(
        _not_here([one.file for one in absent], what),
        hint="give them in the artifact map, or build where they can be fetched",
    )


def _absent(lock: Lock, paths: Mapping[str, Path]) -> list[Artifact]:
    artifacts = (*lock.of_kind("pypi"), *lock.of_kind("conda"))
    return [one for one in artifacts if one.sha256 not in paths]


def _not_here(files: Sequence[str], thing: str) -> str:
    if len(files) == 1:
        return f"the {thing} {files[0]} is not here"
    return f"{len(files)} {thing}s are not here, {files[0]} for one"


def require(plans: Sequence[LayerPlan], paths: Mapping[str, Path], *, recorded: bool) -> None:
    """Refuse to make layers of artifacts that are not here; raises LockError.

    recorded: some packages are not here, so that no post-link script can run upon them.
    """
    absent = [one.file for plan in plans for one in plan.artifacts if one.sha256 not in paths]
    if recorded:
        absent += [plan.title for plan in plans if plan.kind == "linked"]
    if absent:
        raise LockError(
            f"{_not_here(absent, 'artifact')}, and the layer of it is no longer where it was",
            hint="run the command again",
        )


def check_recorded(
    lock: Lock, plans: Sequence[LayerPlan], layers: Mapping[str, StreamDigests]
) -> None:
    """Refuse an image unless all of its layers are what the lock records.

    layers: what there is by now, by the keys of their plans.  Raises LockError.
    """
    recorded = dict(zip((plan.key for plan in plans), recorded_layers(lock), strict=True))
    if any(recorded[key].digest != layer.digest for key, layer in layers.items()):
        raise LockError(
            "a layer is not the one that the lock records, and not all packages are here",
            hint=_AGAIN,
        )


def read_recorded(lock: Lock, data: bytes) -> Recorded:
    """Return what the configuration that the lock records says; raises LockError, ArtifactError."""
    digest = Blob(media_type=CONFIG_TYPE, data=data).digest
    if lock.built is None or digest != lock.built.config:
        raise LockError("the image's configuration is not the recorded one", hint=_AGAIN)
    document = parse_config(data, digest)
    lines = document["config"].get("Env") or []
    try:
        made = datetime.strptime(str(document.get("created")), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise ArtifactError("created in the configuration is no time", where=digest) from None
    return Recorded(
        variables={name: value for name, _, value in (line.partition("=") for line in lines)},
        created=int(made.timestamp()),
    )


def check_config(
    lock: Lock,
    layers: Sequence[tuple[str, StreamDigests]],
    recorded: Recorded,
    foundation: Foundation,
) -> None:
    """Refuse an image whose configuration is not the one that the lock records.

    layers: those that are planned, with their lines in the history.  What the spec says of the
    image goes over what was recorded, so that a variable of another value, a user or a
    command comes out here.  Raises LockError.
    """
    top = recorded_on_top(lock)
    described = [*layers, (COMPILED, top)] if top is not None else layers
    made = config_blob(lock, described, recorded.created, recorded.variables, foundation)
    if lock.built is None or made.digest != lock.built.config:
        raise LockError(
            "the lock records another configuration of the image than it asks for, and not all "
            "packages are here",
            hint=_AGAIN,
        )
