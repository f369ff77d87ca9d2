"""Whole images into a registry: what it lacks, and the name last.

Blobs and manifests without a tag are seen by nobody, so a push that is cut off leaves the tag
as it was; the next one finds what is there already.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from envlock.errors import ArtifactError, DiskError, UsageError
from envlock.registry import documents
from envlock.registry.errors import RegistryError
from envlock.registry.protocol import INDEX, INDEXES, Descriptor, Document
from envlock.sizes import counted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from envlock.progress import Reporter, Task
    from envlock.registry.memory import Whereabouts
    from envlock.registry.protocol import Repository, Upload

JOBS = 4
"""How many blobs are under way at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImage:
    """An image that is pushed: its manifest, its blobs, and where these lie.

    platform: as an index has it; opener: opens a blob by its digest; about: what names the
    image as its subject, an SBOM for instance, as images without a platform.
    """

    manifest: Document
    blobs: tuple[Descriptor, ...]
    platform: Mapping[str, str]
    opener: Callable[[str], BinaryIO]
    about: tuple[LocalImage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of the blobs of a push, in bytes.

    sent, mounted and there: how much had to be sent, was taken over from other repositories, and
    was in the repository already.
    """

    sent: int = 0
    mounted: int = 0
    there: int = 0

    def __add__(self, other: Sent) -> Sent:
        return Sent(
            sent=self.sent + other.sent,
            mounted=self.mounted + other.mounted,
            there=self.there + other.there,
        )


def image_of_layout(layout: Path) -> LocalImage:
    """Return the one image of an OCI layout in a folder, with what is there about it.

    Raises ArtifactError, DiskError.
    """
    try:
        entries = documents.descriptors((layout / "index.json").read_bytes(), "manifests")
        found = [_local(layout, entry) for entry in entries if entry.media_type not in INDEXES]
    except OSError as error:
        raise DiskError(f"cannot be read: {error.strerror}", where=str(layout)) from error
    subjects = [documents.subject_of(one.manifest.data) for one in found]
    images = [one for one, subject in zip(found, subjects, strict=True) if subject is None]
    if len(images) != 1:
        raise ArtifactError(f"{len(images)} images are here, one is pushed", where=str(layout))
    digest = images[0].manifest.digest
    about = [one for one, subject in zip(found, subjects, strict=True) if subject == digest]
    return replace(images[0], about=tuple(about))


def _local(layout: Path, entry: Descriptor) -> LocalImage:
    manifest = Document(media_type=entry.media_type, data=_blob(layout, entry.digest))
    if manifest.digest != entry.digest:
        raise ArtifactError("a manifest is damaged", where=str(layout), hint="build it again")
    return LocalImage(
        manifest=manifest,
        blobs=blobs_of(manifest),
        platform={str(k): str(v) for k, v in (entry.platform or {}).items()},
        opener=lambda digest: (layout / "blobs" / digest.replace(":", "/")).open("rb"),
    )


def blobs_of(manifest: Document) -> tuple[Descriptor, ...]:
    """Return the configuration and the layers of a manifest; raises ArtifactError."""
    content = documents.parse(manifest.data, "manifest")
    config = documents.descriptor(content.get("config"), "config")
    return (config, *documents.descriptors(manifest.data, "layers"))


def push_content(
    image: LocalImage,
    repository: Repository,
    *,
    reporter: Reporter,
    stop: threading.Event,
    whereabouts: Whereabouts | None = None,
) -> Sent:
    """Push an image's blobs, and no name.

    whereabouts: what other repositories of the registry are known to have; stop: is set where
    the push is given up.  Raises RegistryError, IntegrityError, DiskError.
    """
    whole = (image, *image.about)
    blobs = {blob.digest: blob for one in whole for blob in one.blobs}
    done = _send(list(blobs.values()), image.opener, repository, reporter, stop, whereabouts)
    if whereabouts is not None:
        whereabouts.remember(blobs)
    return Sent(
        sent=sum(one.size for one in done if one.way == "sent"),
        mounted=sum(one.size for one in done if one.way == "mounted"),
        there=sum(one.size for one in done if one.way == "there"),
    )


def push_name(images: Sequence[LocalImage], repository: Repository, tag: str) -> str:
    """Let ``tag`` name images whose content was pushed; return the digest that it names.

    Several images get an index.  What is about an image comes before the name.  Raises
    RegistryError; the tag then names what it named before.
    """
    if len({json.dumps(dict(image.platform), sort_keys=True) for image in images}) != len(images):
        raise UsageError("two images of one index are for the same platform")
    top = images[0].manifest if len(images) == 1 else index_of(images)
    for image in images:
        for document in (image.manifest, *(one.manifest for one in image.about)):
            repository.put_manifest(document, document.digest)
    repository.put_manifest(top, tag)
    named = repository.resolve(tag)
    if named != top.digest:
        raise RegistryError(
            f"{tag} was written, and the registry says that it names another image",
            where=repository.name,
            details=(f"  pushed: {top.digest}", f"  named:  {named}"),
            hint="somebody else may have pushed at the same time",
        )
    return top.digest


def index_of(images: Sequence[LocalImage]) -> Document:
    """Return the index of several platforms' images (OCI image-index.md)."""
    entries = sorted(
        (
            {**image.manifest.descriptor().plain(), "platform": dict(image.platform)}
            for image in images
        ),
        key=lambda entry: sorted(entry["platform"].items()),
    )
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    data = json.dumps(index, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Document(media_type=INDEX, data=data.encode())


def _send(
    blobs: Sequence[Descriptor],
    opener: Callable[[str], BinaryIO],
    repository: Repository,
    reporter: Reporter,
    stop: threading.Event,
    whereabouts: Whereabouts | None,
) -> list[Upload]:
    """Bring blobs into a repository, several at once, the largest first."""
    total = sum(blob.size for blob in blobs)
    with reporter.task(f"pushing {counted(len(blobs), 'blob')}", total, "bytes") as task:
        sender = _Sender(opener, repository, task, stop, whereabouts)
        pool = ThreadPoolExecutor(JOBS)
        largest_first = sorted(blobs, key=lambda blob: -blob.size)
        futures = [pool.submit(sender.send, blob) for blob in largest_first]
        try:
            done = [future.result() for future in as_completed(futures)]
        except BaseException as error:
            stop.set()
            # who presses Ctrl-C does not wait for threads that wait for a server
            pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
            raise
        pool.shutdown()
    return done


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends one blob, and tells of it."""

    opener: Callable[[str], BinaryIO]
    repository: Repository
    task: Task
    stop: threading.Event
    whereabouts: Whereabouts | None

    def send(self, blob: Descriptor) -> Upload:
        told = 0

        def hear(amount: int) -> None:
            nonlocal told
            if self.stop.is_set():
                raise RegistryError("stopped")
            told += amount
            self.task.advance(amount)

        upload = self.repository.upload(
            blob.digest,
            blob.size,
            lambda: self._opened(blob.digest),
            mount_from=self.whereabouts.find(blob.digest) if self.whereabouts else (),
            told=hear,
        )
        self.task.advance(blob.size - told)
        return upload

    def _opened(self, digest: str) -> BinaryIO:
        try:
            return self.opener(digest)
        except OSError as error:
            raise DiskError(
                f"a layer cannot be read: {error.strerror}", where=str(error.filename)
            ) from error


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()
