"""What this machine has proven of an image, where nothing is recorded beside its lock."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from envlock.validate.proof import proof_of
from envlock.validate.record import recall

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Lock
    from envlock.lock.proof import Proof


def recalled(cache: Path, lock: Lock) -> Proof | None:
    """Return the proof of the recorded image that the cache has; its date is not known."""
    report = recall(cache, lock.built.manifest, lock) if lock.built else None
    return dataclasses.replace(proof_of(report, lock), date="") if report else None
