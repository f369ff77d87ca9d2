"""Builds from a cache's layers: artifacts that are not here, and what must hold then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.errors import LockError
from envlock.image.known import recorded_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.layers.gzipstream import Known, StreamDigests
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Lock


def needs_wheels(
    lock: Lock, paths: Mapping[str, Path], plans: Sequence[LayerPlan], known: Mapping[str, Known]
) -> bool:
    """Tell whether wheels are looked at for paths that two of them have.

    Where some are not here every layer must be known from the lock, which says that this was
    done.  Raises LockError where that is not so.
    """
    absent = [wheel.file for wheel in lock.of_kind("pypi") if wheel.sha256 not in paths]
    if not absent:
        return True
    recorded = recorded_layers(lock)
    if len(recorded) == len(plans) and all(plan.key in known for plan in plans):
        return False
    raise LockError(
        f"{len(absent)} wheels are not here, {absent[0]} for one",
        hint="give them in the artifact map, or build where they can be fetched",
    )


def require(plans: Sequence[LayerPlan], paths: Mapping[str, Path]) -> None:
    """Refuse to make layers of artifacts that are not here; raises LockError."""
    absent = [one.file for plan in plans for one in plan.artifacts if one.sha256 not in paths]
    if absent:
        raise LockError(
            f"{len(absent)} artifacts are not here, {absent[0]} for one, and their layer is no "
            "longer where it was",
            hint="run the command again",
        )


def check_recorded(
    lock: Lock,
    paths: Mapping[str, Path],
    plans: Sequence[LayerPlan],
    layers: Mapping[str, StreamDigests],
) -> None:
    """Refuse an image of wheels that are not here unless all of it is what the lock records.

    layers: what there is by now, by the keys of their plans.  Raises LockError.
    """
    if lock.built is None or all(wheel.sha256 in paths for wheel in lock.of_kind("pypi")):
        return
    recorded = dict(zip((plan.key for plan in plans), recorded_layers(lock), strict=True))
    if any(recorded[key].digest != layer.digest for key, layer in layers.items()):
        raise LockError(
            "a layer is not the one that the lock records, and not all wheels are here",
            hint="build without --cache-from",
        )
