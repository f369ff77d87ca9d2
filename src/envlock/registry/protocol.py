"""What a repository of a registry can do, whoever speaks to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    Opener = Callable[[], BinaryIO]
    """Opens a blob's bytes anew."""
    Pieces = Generator[bytes, None, None]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

INDEXES = frozenset({INDEX, DOCKER_LIST})
MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a document says of a blob or manifest (OCI descriptor.md); ``size`` in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None
    platform: Mapping[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.platform:
            document["platform"] = dict(self.platform)
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest or index: its bytes and what type they have."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.data)

    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """How a blob got into a repository: sent, mounted from another, or it was there."""

    way: Literal["sent", "mounted", "there"]
    size: int


class Repository(Protocol):
    """One repository; all of it is safe to call from several threads."""

    @property
    def name(self) -> str:
        """The repository as people write it, for messages."""

    def has(self, digest: str) -> int | None:
        """Return a blob's size where the repository has it."""

    def mount(self, digest: str, other: str) -> bool:
        """Take a blob over from another repository; tell whether that worked."""

    def upload(
        self,
        digest: str,
        size: int,
        opener: Opener,
        *,
        mount_from: Sequence[str] = (),
        told: Callable[[int], None] | None = None,
    ) -> Upload:
        """Bring a blob in; ``told`` hears of bytes sent, negative where they are sent again."""

    def blob(self, digest: str, offset: int = 0) -> tuple[int, Pieces]:
        """Return where a blob's answer starts (0 or ``offset``) and its pieces, unverified."""

    def manifest(self, reference: str) -> Document:
        """Return the manifest or index of a tag or digest, verified where it is a digest."""

    def put_manifest(self, document: Document, reference: str) -> None:
        """Store a manifest under a tag or its digest."""

    def resolve(self, tag: str) -> str | None:
        """Return the digest of a tag, None where there is none."""


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
