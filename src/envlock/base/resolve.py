"""From the name of an image to one platform's image: index, manifest, configuration.

OCI image-spec: image-index.md, manifest.md, config.md; Docker's schema 2 says the same under
other names.  All of it comes from outside: every document is verified by its digest, is limited
in size, and is read with care.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError, UnsatisfiableError
from envlock.image.base import LARGEST_CONFIG, parse_config
from envlock.layers.plan import MOST_LAYERS
from envlock.lock.base import GZIP, PLAIN, ZSTD, BaseBlob, BaseLayer
from envlock.registry import documents
from envlock.registry.protocol import INDEXES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from envlock.platforms import Platform
    from envlock.registry.protocol import Descriptor, Document, Repository
    from envlock.registry.reference import Reference

LAYER_TYPES = {
    GZIP: GZIP,
    PLAIN: PLAIN,
    ZSTD: ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": GZIP,
    "application/vnd.docker.image.rootfs.diff.tar": PLAIN,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": ZSTD,
}
_FOREIGN = re.compile(
    r"application/vnd\.(oci\.image\.layer\.nondistributable|docker\.image\.rootfs\.foreign)\..*"
)
"""Layers that a registry need not have (OCI layer.md, "Non-Distributable Layers")."""

_CONFIG_TYPES = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
}
_DIFF_ID = re.compile(r"sha256:[0-9a-f]{64}")
_ANY_PROCESSOR = {"", "v1", "v8"}
"""Variants that all processors of amd64 and arm64 are; others are for newer ones."""

_ROOM = 2  # layers of ours that a base must leave room for, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An image of a registry; index: what its name stands for, manifest: what it is."""

    index: str
    manifest: str
    config: BaseBlob
    layers: tuple[BaseLayer, ...]
    settings: dict[str, Any]


def resolve(
    reference: Reference,
    platform: Platform,
    repository: Repository,
    fetch: Callable[[Descriptor], Path],
) -> Found:
    """Return the image that ``reference`` names for ``platform``.

    fetch: brings a blob into the store, verified.  Raises UnsatisfiableError where the image is
    for other platforms or has layers that cannot be read here, ArtifactError, RegistryError.
    """
    where = str(reference)
    top = repository.manifest(reference.digest or reference.tag or "latest")
    document = top
    if top.media_type in INDEXES:
        document = repository.manifest(_chosen(top, platform, where))
        if document.media_type in INDEXES:
            raise ArtifactError("the index names an index for the platform", where=where)
    content = documents.parse(document.data, where)
    config = documents.descriptor(content.get("config"), "config")
    if config.media_type not in _CONFIG_TYPES or config.size > LARGEST_CONFIG:
        raise ArtifactError(
            f"this is no image: its configuration is {config.media_type[:80]!r} of "
            f"{config.size} bytes",
            where=where,
        )
    layers = documents.descriptors(document.data, "layers")
    _check_layers(layers, where)
    told = parse_config(fetch(config).read_bytes(), where)
    _check_platform(told, platform, where)
    return Found(
        index=top.digest,
        manifest=document.digest,
        config=BaseBlob(digest=config.digest, size=config.size),
        layers=_with_diff_ids(layers, told["rootfs"]["diff_ids"], where),
        settings=told["config"],
    )


def _chosen(index: Document, platform: Platform, where: str) -> str:
    """Return the digest of the platform's manifest: for any processor of its kind, else the first.

    What an index has beside its images (attestations, under ``unknown/unknown``) is none.
    """
    fitting, there = [], []
    for entry in documents.descriptors(index.data, "manifests"):
        named = entry.platform or {}
        if (named.get("os"), named.get("architecture")) == ("linux", platform.oci):
            special = str(named.get("variant") or "") not in _ANY_PROCESSOR
            fitting.append((special, entry.digest))
        there.append(f"{named.get('os', '?')}/{named.get('architecture', '?')}"[:60])
    if fitting:
        return min(fitting, key=lambda found: found[0])[1]
    known = sorted({name for name in there if not name.startswith("unknown")})
    raise UnsatisfiableError(
        f"the base image is not there for linux/{platform.oci}",
        where=where,
        details=[f"  it is for {', '.join(known[:20]) or 'nothing'}"],
        hint=f"remove {platform.name} from platforms, or name another base image",
    )


def _check_layers(layers: Sequence[Descriptor], where: str) -> None:
    if len(layers) > MOST_LAYERS - _ROOM:
        raise UnsatisfiableError(
            f"the base image has {len(layers)} layers, which leaves none for the environment",
            where=where,
            hint="squash its layers: podman build --squash-all, for instance",
        )
    for layer in layers:
        if _FOREIGN.fullmatch(layer.media_type):
            raise UnsatisfiableError(
                "a layer of the base image may not be distributed, says its type: "
                f"{layer.media_type[:80]!r}",
                where=where,
                hint="it is fetched from elsewhere, and no registry takes it: name a base image "
                "without such layers",
            )
        if layer.media_type not in LAYER_TYPES:
            raise UnsatisfiableError(
                f"a layer of the base image is of type {layer.media_type[:80]!r}, which is not "
                "read here",
                where=where,
                hint="layers of images are tars, plain or in gzip or zstd; this may be no image "
                "but something about one (an attestation, a signature)",
            )


def _check_platform(config: dict[str, Any], platform: Platform, where: str) -> None:
    has = (config.get("os"), config.get("architecture"))
    if has != ("linux", platform.oci):
        raise UnsatisfiableError(
            f"the base image is for {has[0]}/{has[1]}, not for linux/{platform.oci}"[:200],
            where=where,
            hint=f"remove {platform.name} from platforms, or name another base image",
        )


def _with_diff_ids(
    layers: Sequence[Descriptor], diff_ids: Sequence[object], where: str
) -> tuple[BaseLayer, ...]:
    if len(layers) != len(diff_ids):
        raise ArtifactError(
            f"the manifest has {len(layers)} layers, and the configuration {len(diff_ids)}",
            where=where,
        )
    found = []
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        if not isinstance(diff_id, str) or not _DIFF_ID.fullmatch(diff_id):
            raise ArtifactError(f"{str(diff_id)[:80]!r} is no sha256 digest", where=where)
        media_type = LAYER_TYPES[layer.media_type]
        found.append(
            BaseLayer(digest=layer.digest, size=layer.size, diff_id=diff_id, media_type=media_type)
        )
    return tuple(found)
