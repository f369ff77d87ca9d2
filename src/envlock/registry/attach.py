"""Documents about an image beside it in the registry: an SBOM, a proof (OCI 1.1, subject)."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from envlock.registry.protocol import (
    EMPTY,
    EMPTY_TYPE,
    MANIFEST,
    Descriptor,
    Document,
    digest_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.registry.protocol import Repository


def attach(
    repository: Repository,
    subject: Descriptor,
    artifact_type: str,
    blob: bytes,
    media_type: str,
    *,
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Store a document about the manifest ``subject``; return its own manifest's descriptor.

    The same document attached twice is there once.  Registries without the referrers API get
    the tag that the specification has in its place.  Raises RegistryError.
    """
    content = Descriptor(media_type=media_type, digest=digest_of(blob), size=len(blob))
    empty = Descriptor(media_type=EMPTY_TYPE, digest=digest_of(EMPTY), size=len(EMPTY))
    repository.upload(empty.digest, empty.size, lambda: io.BytesIO(EMPTY))
    repository.upload(content.digest, content.size, lambda: io.BytesIO(blob))
    bare = Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": empty.plain(),
        "layers": [content.plain()],
        "subject": bare.plain(),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    document = Document(media_type=MANIFEST, data=text.encode())
    repository.put_manifest(document, document.digest)
    return Descriptor(
        media_type=MANIFEST,
        digest=document.digest,
        size=len(document.data),
        annotations=annotations or {},
        artifact_type=artifact_type,
    )


def attached(repository: Repository, referrer: Descriptor) -> bytes:
    """Return an attached document; raises RegistryError, IntegrityError, ArtifactError."""
    from envlock.errors import ArtifactError, IntegrityError
    from envlock.registry.documents import descriptors

    layers = descriptors(repository.manifest(referrer.digest).data, "layers")
    if len(layers) != 1:
        raise ArtifactError(f"{len(layers)} documents are attached as one", where=repository.name)
    data = b""
    for piece in repository.blob(layers[0].digest)[1]:
        data += piece
        if len(data) > layers[0].size:
            break
    if digest_of(data) != layers[0].digest:
        raise IntegrityError("the attached document is damaged", where=repository.name)
    return data
