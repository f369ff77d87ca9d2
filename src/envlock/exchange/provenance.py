"""SLSA provenance of an image, as an in-toto statement: which lock it was made of, and how.

in-toto attestation framework, Statement v1; SLSA v1.0, Provenance.  It holds nothing of the
machine that built the image: whoever builds the lock again gets the same bytes.  It is not
signed here; what signs it wraps it into a DSSE envelope.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from envlock.lock.codec import lock_digest

if TYPE_CHECKING:
    from envlock.lock.model import Lock

MEDIA_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://envlock.invalid/build/v1"
BUILDER = "https://envlock.invalid/builder"


def provenance(lock: Lock, manifest: str, created: int = 0) -> str:
    """Return the statement's text; ``manifest``: the image's digest, ``sha256:`` in front.

    created: the SOURCE_DATE_EPOCH of the build, in seconds.
    """
    parameters: dict[str, Any] = {
        "name": lock.name,
        "platform": lock.platform,
        "lock": lock_digest(lock),
    }
    if created:
        parameters["created"] = created
    value = {
        "_type": STATEMENT,
        "subject": [{"name": lock.name, "digest": _digest(manifest)}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {"packer": lock.packer},
                "resolvedDependencies": [
                    {
                        "name": artifact.file,
                        "digest": {"sha256": artifact.sha256},
                        "annotations": {"kind": artifact.kind, "source": artifact.source},
                    }
                    for artifact in sorted(
                        lock.artifacts, key=lambda one: (one.kind, one.name, one.file)
                    )
                ]
                + _base(lock),
            },
            "runDetails": {"builder": {"id": BUILDER}},
        },
    }
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _base(lock: Lock) -> list[dict[str, Any]]:
    if lock.base is None:
        return []
    return [{"name": lock.base.reference, "digest": _digest(lock.base.manifest)}]


def _digest(text: str) -> dict[str, str]:
    name, _, value = text.partition(":")
    return {name: value}
