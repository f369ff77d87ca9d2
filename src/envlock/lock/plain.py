"""Locks as plain values, as JSON has them, and the seals of their blocks.

Standard library only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from envlock.lock.attested import plain
from envlock.lock.base import plain_base
from envlock.lock.condarecord import plain_record

if TYPE_CHECKING:
    from envlock.lock.model import Artifact, Lock, LockedOverride, VoidedRequirement

SOURCE_KEY = {"pypi": "index", "debian": "archive", "conda": "channel"}
"""What the source of an artifact is called, by its kind."""


def plain_lock(lock: Lock) -> dict[str, Any]:
    """Return a lock without its seal and what a build recorded in it."""
    value: dict[str, Any] = {
        "format": lock.format,
        "packer": lock.packer,
        "name": lock.name,
        "platform": lock.platform,
        "input": lock.input,
        "spec": lock.spec,
        "artifacts": [_plain_artifact(artifact) for artifact in ordered(lock.artifacts)],
        "overrides": [_plain_override(override) for override in lock.overrides],
        "excludes": [
            {"package": exclude.package, "voids": [_plain_void(v) for v in exclude.voids]}
            for exclude in lock.excludes
        ],
    }
    if lock.debian is not None:
        value["debian"] = asdict(lock.debian)
    if lock.base is not None:
        value["base"] = plain_base(lock.base)
    if lock.audit is not None:
        value["audit"] = asdict(lock.audit)
    if lock.merged:
        value["merged"] = True
    return json.loads(json.dumps(value))  # type: ignore[no-any-return]  # tuples become lists


def plain_inputs(artifact: Artifact) -> dict[str, Any]:
    """Return all that is known of an artifact, as keys of caches have it.

    What an artifact rarely has is left out where it does not, so that keys stay what they were.
    """
    value = asdict(artifact)
    if not artifact.clobbered:
        del value["clobbered"]
    return value


def ordered(artifacts: tuple[Artifact, ...]) -> list[Artifact]:
    """Return artifacts in the order of the file."""
    return sorted(artifacts, key=lambda artifact: (artifact.kind, artifact.name, artifact.file))


def _plain_artifact(artifact: Artifact) -> dict[str, Any]:
    value = asdict(artifact)
    value[SOURCE_KEY[artifact.kind]] = value.pop("source")
    value["depends"] = list(artifact.depends)
    del value["conda"]
    if artifact.conda is not None:
        value["conda"] = plain_record(artifact.conda)
    if artifact.yanked is None:
        del value["yanked"]
    if not artifact.clobbered:
        del value["clobbered"]
    del value["attested"]
    if artifact.attested is not None:
        value["attested"] = plain(artifact.attested)
    value["seal"] = seal(value)
    return value


def _plain_override(override: LockedOverride) -> dict[str, Any]:
    value: dict[str, Any] = {
        "package": override.package,
        "version": override.version,
        "voids": [_plain_void(void) for void in override.voids],
    }
    if override.kind != "pypi":
        value["kind"] = override.kind
    if override.replaces is not None:
        value["replaces"] = override.replaces
    return value


def _plain_void(void: VoidedRequirement) -> dict[str, Any]:
    value = asdict(void)
    if void.kind == "pypi":
        del value["kind"]
    return value


def seal(value: dict[str, Any]) -> str:
    """Return a short hash of a block, without its own seal and the digests of a build."""
    bare = {key: item for key, item in value.items() if key not in {"seal", "built"}}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
