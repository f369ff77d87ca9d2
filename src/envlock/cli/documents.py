"""Documents about an image: bills of materials and provenance, in its layout and beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from envlock.cli.context import Context
    from envlock.exchange.places import Places
    from envlock.image.layout import ImageDigests
    from envlock.image.referrers import Document
    from envlock.lock.model import Artifact, Lock


def metadata_of(state: Context, places: Places) -> Callable[[Artifact], bytes]:
    """Return what finds a wheel's METADATA: in the store, in the cache, on its index."""

    def find(artifact: Artifact) -> bytes:
        from envlock.errors import FetchError
        from envlock.solve.pypi.choosing import Chosen

        known = state.metadata.known(artifact.sha256, artifact.size, artifact.file)
        if known is not None:
            return known
        if state.offline:
            raise FetchError(
                f"the METADATA of {artifact.file} is not on this machine",
                hint="leave out --offline, or run envlock build, which fetches the wheel",
            )
        for url in places.indexes.urls(artifact):
            chosen = Chosen(
                name=artifact.name,
                version=artifact.version,
                index=artifact.source,
                url=url,
                file=artifact.file,
                sha256=artifact.sha256,
                size=artifact.size,
            )
            return state.metadata.text(chosen)
        raise FetchError(
            f"the index {artifact.source!r} does not have {artifact.file}",
            hint="it may be another index than the lock was solved against",
        )

    return find


class Papers:
    """The documents that one build was asked for.

    sbom: bills of materials in both formats; provenance: what the image was made of and how.
    """

    def __init__(
        self, lock: Lock, *, sbom: bool, provenance: bool, created: int, paths: dict[str, Path]
    ) -> None:
        self.lock = lock
        self._sbom = sbom
        self._provenance = provenance
        self.created = created
        self.paths = paths
        self.documents: list[Document] = []

    def make(self, digests: ImageDigests) -> Sequence[Document]:
        """Make the documents of the image that was built; raises UsageError, ArtifactError."""
        self.documents = [*self._bills()] if self._sbom else []
        if self._provenance:
            self.documents.append(self._statement(digests))
        return self.documents

    def _bills(self) -> Sequence[Document]:
        from envlock.exchange import cyclonedx, spdx
        from envlock.image.referrers import Document

        return [
            Document(
                name=f"{self.lock.name}.{ending}",
                media_type=form.MEDIA_TYPE,
                data=form.write(self.lock, self._metadata).encode(),
            )
            for ending, form in (("cdx.json", cyclonedx), ("spdx.json", spdx))
        ]

    def _metadata(self, artifact: Artifact) -> bytes:
        from envlock.solve.pypi.metadata import read_metadata

        return read_metadata(self.paths[artifact.sha256], artifact.file)

    def _statement(self, digests: ImageDigests) -> Document:
        from envlock.exchange.provenance import MEDIA_TYPE, provenance
        from envlock.image.referrers import Document

        return Document(
            name=f"{self.lock.name}.provenance.json",
            media_type=MEDIA_TYPE,
            data=provenance(self.lock, digests.manifest, self.created).encode(),
        )

    def write_beside(self, target: Path) -> list[Path]:
        """Write the documents into the folder of the image; raises DiskError."""
        from envlock.files import write_atomically

        stem = target.name.removesuffix(".tar")
        written = []
        for document in self.documents:
            ending = document.name.removeprefix(self.lock.name)
            written.append(target.with_name(f"{stem}{ending}"))
            write_atomically(written[-1], document.data)
        return written
