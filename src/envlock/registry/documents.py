"""Manifests and indexes of registries, read with care: they come from outside."""

from __future__ import annotations

import json
from typing import Any

from envlock.errors import ArtifactError
from envlock.registry.protocol import INDEXES, MANIFESTS, Descriptor, Document
from envlock.registry.reference import DIGEST


def parse(data: bytes, where: str) -> dict[str, Any]:
    """Return a JSON object; raises ArtifactError."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"not JSON: {error}", where=where) from None
    if not isinstance(document, dict):
        raise ArtifactError("not a JSON object", where=where)
    return document


def media_type(data: bytes, told: str) -> str:
    """Return a manifest's type: its own word, then the registry's; raises ArtifactError.

    Where the two differ it is refused, as the image-spec advises ("mediaType"): one of two
    readers would take it for something else.
    """
    document = parse(data, "manifest")
    own = document.get("mediaType", told)
    known = INDEXES | MANIFESTS
    if own not in known:
        raise ArtifactError(
            f"the registry has a document of type {str(own)[:80]!r}, and this is no image",
            hint="it may be a chart, a signature or an image of Docker's schema 1",
        )
    if told in known and told != own:
        raise ArtifactError(f"the registry says {told}, and the document says {own}")
    wrong = ("layers", "config") if own in INDEXES else ("manifests",)
    if any(key in document for key in wrong):
        raise ArtifactError("the document is a manifest and an index at once")
    return str(own)


def descriptors(data: bytes, key: str) -> list[Descriptor]:
    """Return the list ``key`` of a document; raises ArtifactError."""
    document = parse(data, key)
    entries = document.get(key)
    if not isinstance(entries, list):
        raise ArtifactError(f"the document has no list {key!r}")
    return [descriptor(entry, f"{key}[{number}]") for number, entry in enumerate(entries)]


def descriptor(entry: Any, where: str) -> Descriptor:
    """Read one descriptor (OCI descriptor.md); raises ArtifactError."""
    if not isinstance(entry, dict):
        raise ArtifactError("not a descriptor", where=where)
    digest, size = entry.get("digest"), entry.get("size")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise ArtifactError(f"{str(digest)[:100]!r} is not a sha256 digest", where=where)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ArtifactError(f"{str(size)[:100]!r} is not a size", where=where)
    annotations, platform = entry.get("annotations"), entry.get("platform")
    return Descriptor(
        media_type=str(entry.get("mediaType", "")),
        digest=digest,
        size=size,
        annotations={str(k): str(v) for k, v in annotations.items()}
        if isinstance(annotations, dict)
        else {},
        artifact_type=str(entry["artifactType"]) if entry.get("artifactType") else None,
        platform=platform if isinstance(platform, dict) else None,
    )


def subject_of(data: bytes) -> str | None:
    """Return the digest of the manifest that a manifest is about."""
    subject = parse(data, "manifest").get("subject")
    return descriptor(subject, "subject").digest if subject is not None else None


def referrer(document: Document) -> Descriptor:
    """Return a manifest as the list of its subject's referrers has it."""
    content = parse(document.data, "manifest")
    kind = content.get("artifactType") or (content.get("config") or {}).get("mediaType")
    return Descriptor(
        media_type=document.media_type,
        digest=document.digest,
        size=len(document.data),
        annotations=content.get("annotations") or {},
        artifact_type=kind,
    )
