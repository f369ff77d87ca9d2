"""What layers will be, before they are made: earlier builds told, here or where the lock is from.

What a build on this machine found is remembered by everything that decides the layer.  What only
the lock told, and turned out to be the digest, is remembered beside it as told: its plain digest
was never looked at here, so that it helps for a lock that says the very same, and for no other.

That no two artifacts differ at one path is a function of the lock, and remembered as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

from envlock.files import write_atomically
from envlock.layers.gzipstream import Known, StreamDigests
from envlock.layers.plan import compiles
from envlock.leases import used
from envlock.lock.codec import lock_digest
from envlock.lock.model import PACKER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import BuiltLayer, Lock


def recorded_layers(lock: Lock) -> tuple[BuiltLayer, ...]:
    """Return what the lock records of the layers that are planned.

    What the image's Python compiles comes on top of these.
    """
    recorded = lock.built.layers if lock.built is not None else ()
    return recorded[:-1] if compiles(lock) else recorded


def recorded_on_top(lock: Lock) -> StreamDigests | None:
    """Return what the lock records of the compiled modules, if it has any."""
    if not compiles(lock) or lock.built is None or not lock.built.layers:
        return None
    return StreamDigests(**dataclasses.asdict(lock.built.layers[-1]))


def known_layers(cache: Path, lock: Lock, plans: Sequence[LayerPlan]) -> dict[str, Known]:
    """Return what layers will be, by their plans' keys: from the cache, else from the lock."""
    known = {}
    recorded = recorded_layers(lock)
    if len(recorded) == len(plans):
        for plan, layer in zip(plans, recorded, strict=True):
            digests = StreamDigests(**dataclasses.asdict(layer))
            met_before = _recall(_path(cache, plan, told=True)) == digests
            known[plan.key] = Known(digests=digests, seen_here=met_before)
    for plan in plans:
        seen = _recall(_path(cache, plan, told=False))
        if seen is not None:
            known[plan.key] = Known(digests=seen, seen_here=True)
    return known


def remember_layer(
    cache: Path, plan: LayerPlan, digests: StreamDigests, known: Known | None
) -> None:
    """Note what a layer turned out to be; ``known`` is what was thought before."""
    told = known is not None and not known.seen_here and known.digests == digests
    text = json.dumps(dataclasses.asdict(digests), sort_keys=True)
    write_atomically(_path(cache, plan, told=told), text.encode())


def recall_digests(cache: Path, key: str) -> StreamDigests | None:
    """Return what a layer that no plan has was when this machine made it."""
    return _recall(cache / "layers" / f"{key}.json")


def remember_digests(cache: Path, key: str, digests: StreamDigests) -> None:
    """Note what :func:`recall_digests` is to return; ``key`` is of all that decides the layer."""
    text = json.dumps(dataclasses.asdict(digests), sort_keys=True)
    write_atomically(cache / "layers" / f"{key}.json", text.encode())


def is_sound(cache: Path, lock: Lock) -> bool:
    """Tell whether this machine found before that every path of the image has one owner."""
    return used(_sound(cache, lock))


def remember_sound(cache: Path, lock: Lock) -> None:
    """Note what :func:`is_sound` is to tell; raises DiskError."""
    if not is_sound(cache, lock):
        write_atomically(_sound(cache, lock), b"{}", sync=False)


def _sound(cache: Path, lock: Lock) -> Path:
    """Return the note on all that decides the image, and by which packer."""
    text = json.dumps(["one owner for every path", PACKER, lock_digest(lock.image_inputs)])
    return cache / "layers" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def _path(cache: Path, plan: LayerPlan, *, told: bool) -> Path:
    return cache / "layers" / f"{plan.key}.{'told.' if told else ''}json"


def _recall(path: Path) -> StreamDigests | None:
    try:
        used(path)
        return StreamDigests(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
