"""Documents about an image, beside it in the same layout (OCI image-spec 1.1).

Each is a manifest of its own whose ``subject`` is the image (manifest.md, "Guidelines for
Artifact Usage") and which the index names with its ``artifactType``.  The image's manifest and
its digest stay what they are.  Standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.files import write_atomically
from envlock.image.config import MANIFEST_TYPE, REFERENCE, Blob, canonical

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EMPTY = Blob(media_type="application/vnd.oci.empty.v1+json", data=b"{}")
"""The configuration of what has none."""

_TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document about an image; name: its file name, which is also shown to people."""

    name: str
    media_type: str
    data: bytes


def attach(layout: Path, documents: Sequence[Document]) -> tuple[str, ...]:
    """Add documents to a layout of one image; return the digests of their manifests.

    Raises DiskError.
    """
    index = json.loads((layout / "index.json").read_bytes())
    (image,) = index["manifests"]
    subject = {key: image[key] for key in ("mediaType", "digest", "size")}
    manifests = [_write(layout, document, subject) for document in documents]
    index["manifests"] += manifests
    write_atomically(layout / "index.json", canonical(index))
    return tuple(manifest["digest"] for manifest in manifests)


def is_referrer(descriptor: dict[str, Any]) -> bool:
    """Tell whether an entry of an index is a document, and no image."""
    return bool(descriptor.get("artifactType"))


def _write(layout: Path, document: Document, subject: dict[str, Any]) -> dict[str, Any]:
    """Write a document's blobs and return what the index says of its manifest."""
    content = Blob(media_type=document.media_type, data=document.data)
    manifest = Blob(
        media_type=MANIFEST_TYPE,
        data=canonical(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "artifactType": document.media_type,
                "config": EMPTY.descriptor(),
                "layers": [content.descriptor() | {"annotations": {_TITLE: document.name}}],
                "subject": subject,
            }
        ),
    )
    for blob in (EMPTY, content, manifest):
        place = layout / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")
        write_atomically(place, blob.data)
    return manifest.descriptor() | {
        "artifactType": document.media_type,
        "annotations": {REFERENCE: document.name},  # tools that copy one manifest ask for it
    }
