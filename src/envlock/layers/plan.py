"""Which artifacts share a layer, decided from the lock alone.

A change to one package should change one layer, images should share layers, and overlayfs
and containerd stop near 127 layers.  So: one layer for the OS, one for each large
distribution, and one for all small ones with the environment's own files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envlock.errors import UsageError
from envlock.lock.model import PACKER, Artifact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.lock.model import Lock

LARGE = 8 * 1024 * 1024
"""Distributions from this many bytes on have a layer of their own."""

DEFAULT_BUDGET = 40
PREFIX = "opt/env"
"""Where the environment lies in the image, relative to its root."""

LayerKind = Literal["os", "distribution", "rest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """One layer to be: its kind, its artifacts in lock order, and its line in the history."""

    kind: LayerKind
    artifacts: tuple[Artifact, ...]
    title: str
    settings: tuple[tuple[str, str], ...] = ()
    """What else decides the layer's bytes, by name."""

    @property
    def key(self) -> str:
        """A digest of all that the layer's bytes are a function of."""
        inputs = {
            "packer": PACKER,
            "kind": self.kind,
            "artifacts": [[a.kind, a.name, a.version, a.sha256] for a in self.artifacts],
            "settings": list(self.settings),
        }
        text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def plan_layers(lock: Lock) -> tuple[LayerPlan, ...]:
    """Return the layers of a lock's image, lowest first.

    Raises UsageError if the budget leaves no room for the layers that must be.
    """
    image = lock.spec.get("image", {})
    budget = image.get("layers", {}).get("budget", DEFAULT_BUDGET)
    debs, wheels = lock.of_kind("debian"), lock.of_kind("pypi")
    room = budget - bool(debs) - 1
    if room < 0:
        raise UsageError(
            f"image.layers.budget: {budget} is too small",
            hint="this image needs a layer for the OS and one for the environment: at least 2",
        )
    large = _largest([wheel for wheel in wheels if wheel.size >= LARGE], room)
    small = tuple(wheel for wheel in wheels if wheel not in large)
    environment = (("prefix", PREFIX), ("python", lock.python))
    layers = [
        LayerPlan(
            kind="distribution",
            artifacts=(wheel,),
            title=f"{wheel.name} {wheel.version}",
            settings=environment,
        )
        for wheel in large
    ]
    if debs:
        layers.insert(0, _os_layer(lock, debs))
    own = [(key, str(image[key])) for key in ("user", "workdir") if image.get(key)]
    if wheels:
        own.append(("interpreter", "/usr/bin"))
    title = f"{len(small)} small distributions and the environment at /{PREFIX}"
    layers.append(
        LayerPlan(kind="rest", artifacts=small, title=title, settings=(*environment, *own))
    )
    return tuple(layers)


def _largest(wheels: Sequence[Artifact], room: int) -> tuple[Artifact, ...]:
    chosen = sorted(wheels, key=lambda wheel: (-wheel.size, wheel.name))[:room]
    return tuple(sorted(chosen, key=lambda wheel: wheel.name))


def _os_layer(lock: Lock, debs: tuple[Artifact, ...]) -> LayerPlan:
    debian = lock.spec.get("debian") or {}
    settings = [("platform", lock.platform), ("suite", str(debian.get("suite", "")))]
    for link, target in sorted((debian.get("alternatives") or {}).items()):
        settings.append((f"alternative {link}", str(target)))
    title = f"Debian {debian.get('suite', '')}: {len(debs)} packages"
    return LayerPlan(kind="os", artifacts=debs, title=title, settings=tuple(settings))
