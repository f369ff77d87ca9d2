"""Many artifacts in as few layers as a limit allows, so that a change touches one of them.

Who is with whom is decided by digests of names: a set that is too large is split by the next bit.
A package that comes, goes or grows changes its own set alone, whatever else there is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from envlock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.lock.model import Artifact, Lock

_GROWTH = {"pypi": 1.0, "conda": 2.0}
"""How much larger a layer is than the artifacts in it, at most and about."""


def limit_of(lock: Lock) -> int | None:
    """Return how many bytes a layer may have (``image.layers.max-size``), None for any."""
    limit: int | None = lock.spec.get("image", {}).get("layers", {}).get("max-size")
    return limit


def parts_of(artifacts: Sequence[Artifact], limit: int | None) -> list[tuple[Artifact, ...]]:
    """Return the artifacts in sets of which no layer should be larger than ``limit`` bytes."""
    return _split(tuple(artifacts), limit, 0) if limit is not None else [tuple(artifacts)]


def _split(artifacts: tuple[Artifact, ...], limit: int, bit: int) -> list[tuple[Artifact, ...]]:
    if len(artifacts) < 2 or sum(item.size * _GROWTH[item.kind] for item in artifacts) <= limit:
        return [artifacts]
    halves = [tuple(item for item in artifacts if _bit(item, bit) == side) for side in (0, 1)]
    return [part for half in halves if half for part in _split(half, limit, bit + 1)]


def _bit(artifact: Artifact, number: int) -> int:
    digest = hashlib.sha256(f"{artifact.kind} {artifact.name}".encode()).digest()
    return digest[number // 8] >> number % 8 & 1


def check_sizes(layers: Sequence[tuple[str, int]], limit: int | None) -> None:
    """Raise UsageError if a layer, by title and size in bytes, is larger than ``limit``."""
    large = [(title, size) for title, size in layers if size > (limit or size)]
    if large:
        _refuse(large)


def _refuse(large: Sequence[tuple[str, int]]) -> None:
    most = max(size for _, size in large)
    raise UsageError(
        "image.layers.max-size is smaller than what has to be in one layer",
        details=[f"  {name}: {size / 10**6:.1f} MB" for name, size in large],
        hint="conda packages, files of wheels, the OS and compiled modules are not split: allow "
        f"{most // 10**6 + 1}MB or more, or do without",
    )
