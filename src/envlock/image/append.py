"""One more layer on an image that is complete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from envlock.files import write_atomically
from envlock.image.config import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, Blob, canonical
from envlock.image.layout import ImageDigests

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.image.layout import Staging
    from envlock.layers.gzipstream import StreamDigests


def append_layer(
    place: Staging, digests: ImageDigests, layer: StreamDigests, title: str
) -> ImageDigests:
    """Put a layer, whose blob is there, on top of the image in ``place``; raises DiskError."""
    index = json.loads((place.folder / "index.json").read_bytes())
    (descriptor,) = index["manifests"]
    before = (_blob(place, digests.manifest), _blob(place, digests.config))
    manifest, config = (json.loads(path.read_bytes()) for path in before)
    config["rootfs"]["diff_ids"].append(layer.diff_id)
    config["history"].append({"created": config["created"], "created_by": f"envlock: {title}"})
    new_config = Blob(media_type=CONFIG_TYPE, data=canonical(config))
    manifest["config"] = new_config.descriptor()
    manifest["layers"].append({"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size})
    new_manifest = Blob(media_type=MANIFEST_TYPE, data=canonical(manifest))
    old_size = sum(path.stat().st_size for path in before)
    for blob in (new_config, new_manifest):
        write_atomically(_blob(place, blob.digest), blob.data)
    descriptor |= new_manifest.descriptor()
    write_atomically(place.folder / "index.json", canonical(index))
    for path in before:
        path.unlink()
    new_size = len(new_config.data) + len(new_manifest.data) + layer.size
    return ImageDigests(
        manifest=new_manifest.digest,
        config=new_config.digest,
        layers=(*digests.layers, layer),
        size=digests.size - old_size + new_size,
    )


def _blob(place: Staging, digest: str) -> Path:
    return place.blobs / digest.removeprefix("sha256:")
