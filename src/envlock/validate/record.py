"""Proofs that were made before, so that a build that changes nothing proves nothing anew.

A proof holds for one manifest digest, one spec and one version of envlock; only passed ones
are kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from envlock import __version__
from envlock.errors import DiskError
from envlock.files import write_atomically
from envlock.leases import used
from envlock.validate.results import GpuFacts, OverrideFacts, Report, Result

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Lock


def recall(cache: Path, manifest: str, lock: Lock) -> Report | None:
    """Return the report of an earlier proof of this image and lock, None without one."""
    try:
        used(_path(cache, manifest, lock))
        return _report(json.loads(_path(cache, manifest, lock).read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remember(cache: Path, report: Report, lock: Lock) -> None:
    """Keep a passed report, if the cache can be written: else it is only proven again."""
    if report.ok:
        text = json.dumps(dataclasses.asdict(report), sort_keys=True)
        with suppress(DiskError, OSError):
            write_atomically(_path(cache, report.image, lock), text.encode())


def _path(cache: Path, manifest: str, lock: Lock) -> Path:
    voids = [dataclasses.astuple(void) for void in lock.voided]
    inputs = json.dumps([__version__, manifest, lock.input, voids])
    return cache / "proofs" / f"{hashlib.sha256(inputs.encode()).hexdigest()}.json"


def _report(value: dict[str, Any]) -> Report:
    overrides = tuple(
        OverrideFacts(**{**item, "against": tuple(item["against"])}) for item in value["overrides"]
    )
    results = tuple(
        Result(**{**item, **{key: tuple(item[key]) for key in ("detail", "trace", "check")}})
        for item in value["results"]
    )
    found = value["gpu"]
    gpu = None if found is None else GpuFacts(**{**found, "names": tuple(found["names"])})
    return Report(**{**value, "overrides": overrides, "results": results, "gpu": gpu})
