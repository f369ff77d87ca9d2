"""The image's configuration and manifest as canonical JSON (OCI image-spec 1.1)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from envlock.image.base import Foundation, merged_settings
from envlock.layers.plan import PREFIX
from envlock.platforms import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from envlock.layers.gzipstream import StreamDigests
    from envlock.lock.model import Lock

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
REFERENCE = "org.opencontainers.image.ref.name"
"""The annotation that names an image in a layout (annotations.md)."""
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"

LATEST = 253402300799
"""The last second of the year 9999: RFC 3339, which ``created`` follows, has four digits."""

NOTHING: Mapping[str, str] = MappingProxyType({})
NO_BASE = Foundation()
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A small blob that is at hand, with its media type."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    def descriptor(self) -> dict[str, Any]:
        """Return the OCI descriptor."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def environment(
    lock: Lock, packages: Mapping[str, str] = NOTHING, below: Mapping[str, str] = NOTHING
) -> dict[str, str]:
    """Return the image's environment variables: packages', envlock's, then the spec's over them.

    packages: what conda packages set where conda activates their environment, as
    ``CONDA_PREFIX`` here says it is; below: a base image's, which all others go over, but that
    its PATH stays behind the environment's, and that its NVIDIA_* stay.

    The NVIDIA_* ones are read by the NVIDIA container toolkit; they make a run time bind
    the driver into the container and refuse a driver that is too old for the CUDA wanted.
    """
    path = below.get("PATH") or _SYSTEM_PATH
    variables = {**below, **packages, "PATH": f"/{PREFIX}/bin:{path}"}
    if lock.of_kind("conda"):
        variables["CONDA_PREFIX"] = f"/{PREFIX}"
    cuda = lock.spec["platform"].get("cuda")
    if cuda:
        variables |= {
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
            "NVIDIA_REQUIRE_CUDA": f"cuda>={cuda}",
            **{name: value for name, value in below.items() if name.startswith("NVIDIA_")},
        }
    variables |= lock.spec.get("image", {}).get("env", {})
    return variables


def config_blob(
    lock: Lock,
    layers: Sequence[tuple[str, StreamDigests]],
    created: int = 0,
    packages: Mapping[str, str] = NOTHING,
    foundation: Foundation = NO_BASE,
) -> Blob:
    """Return the configuration; ``layers`` are (history line, digests), lowest first.

    ``created`` is in seconds since the epoch (SOURCE_DATE_EPOCH), not the time of the build;
    ``packages`` are variables as in :func:`environment`; ``foundation`` lies below the layers.
    """
    variables = environment(lock, packages, foundation.env)
    settings = merged_settings(foundation, lock.spec.get("image", {}), variables)
    when = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    platform = PLATFORMS[lock.platform]
    return Blob(
        media_type=CONFIG_TYPE,
        data=canonical(
            {
                "architecture": platform.oci,
                **({"variant": foundation.variant} if foundation.variant else {}),
                "os": "linux",
                "created": when,
                "config": settings,
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [
                        *(layer.diff_id for layer in foundation.layers),
                        *(digests.diff_id for _, digests in layers),
                    ],
                },
                "history": [
                    *foundation.history,
                    *({"created": when, "created_by": f"envlock: {title}"} for title, _ in layers),
                ],
            }
        ),
    )


def manifest_blob(
    lock: Lock, config: Blob, layers: Sequence[StreamDigests], foundation: Foundation = NO_BASE
) -> Blob:
    """Return the manifest; its annotations carry no version of this program."""
    annotations = {**foundation.annotations, "org.opencontainers.image.title": lock.name}
    description = lock.spec.get("description")
    if description:
        annotations["org.opencontainers.image.description"] = description
    return Blob(
        media_type=MANIFEST_TYPE,
        data=canonical(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": config.descriptor(),
                "layers": [
                    *(
                        {"mediaType": one.media_type, "digest": one.digest, "size": one.size}
                        for one in foundation.layers
                    ),
                    *(
                        {"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size}
                        for layer in layers
                    ),
                ],
                "annotations": annotations,
            }
        ),
    )


def index_blob(lock: Lock, manifest: Blob) -> Blob:
    """Return ``index.json``: one manifest with its platform and its name."""
    platform = PLATFORMS[lock.platform]
    descriptor = manifest.descriptor() | {
        "platform": {"architecture": platform.oci, "os": "linux"},
        "annotations": {REFERENCE: lock.name},
    }
    return Blob(
        media_type=INDEX_TYPE,
        data=canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [descriptor]}),
    )
