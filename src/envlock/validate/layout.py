"""Read an OCI image layout, from a directory or straight out of a tar archive.

Follows the OCI image-spec: image-layout.md, image-index.md, manifest.md, config.md and
descriptor.md.  Every JSON document is checked against the size and sha256 of the
descriptor that names it before it is parsed; layers are only located here and checked
while they are unpacked (:mod:`envlock.validate.stream`).  Standard library only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError, DiskError, IntegrityError, UsageError
from envlock.registry import documents
from envlock.registry.reference import DIGEST
from envlock.validate.blobs import NOT_A_LAYOUT, Blobs, blobs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
PLAIN_LAYERS = frozenset({"application/vnd.oci.image.layer.v1.tar"})
GZIP_LAYERS = frozenset(
    {
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }
)
ZSTD_LAYERS = frozenset({"application/vnd.oci.image.layer.v1.tar+zstd"})
_MAX_DOCUMENT = 4 << 20  # image-spec, manifest.md: registries accept at least 4 MiB

TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a document says of a blob (descriptor.md); ``size`` in bytes."""

    media_type: str
    digest: str
    size: int
    architecture: str | None = None

    @property
    def name(self) -> str:
        """Return the blob's name in the layout (image-layout.md, Blobs)."""
        return f"blobs/{self.digest.replace(':', '/')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: its blob, and the digest of its uncompressed tar (config.md, diff_ids)."""

    blob: Descriptor
    diff_id: str

    @property
    def gzipped(self) -> bool:
        return self.blob.media_type in GZIP_LAYERS

    @property
    def zstd(self) -> bool:
        return self.blob.media_type in ZSTD_LAYERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a container of the image starts with (config.md, ``config``)."""

    architecture: str
    env: Mapping[str, str]
    user: str
    workdir: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image of a layout; ``manifest`` is its digest, layers lowest first.

    title: the annotation ``org.opencontainers.image.title``, empty without one.
    """

    blobs: Blobs
    manifest: str
    config: Config
    layers: tuple[Layer, ...]
    title: str = ""


def open_layout(path: Path, *, architecture: str | None = None) -> Image:
    """Return the image of a layout: the one for linux/``architecture`` (GOARCH), or the only one.

    Raises UsageError where ``path`` is no layout or holds no such image, IntegrityError
    where a document is not what its digest says, ArtifactError where one is malformed.
    """
    blobs = blobs_of(path)
    try:
        _check_version(blobs, path)
        index = documents.parse(_read(blobs, "index.json"), "index.json")
        manifest = _choose(blobs, _descriptors(_images(index), "manifests"), architecture, path)
        return _image(blobs, manifest)
    except OSError as error:
        raise DiskError(f"cannot read the image: {error}", where=str(path)) from error


def read_verified(blobs: Blobs, blob: Descriptor) -> bytes:
    """Return a small blob's bytes; raises IntegrityError unless size and sha256 agree."""
    if blob.size > _MAX_DOCUMENT:
        raise ArtifactError(f"{blob.digest} is a document of {blob.size} bytes", where=blob.name)
    try:
        data = _read(blobs, blob.name)
    except FileNotFoundError as error:
        raise IntegrityError("the layout lacks this blob", where=blob.name) from error
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if len(data) != blob.size or found != blob.digest:
        raise IntegrityError(
            "the blob is not what its descriptor says",
            where=blob.name,
            details=(
                f"expected {blob.digest}, {blob.size} bytes",
                f"found {found}, {len(data)} bytes",
            ),
            hint="the image was damaged or changed: build it again",
        )
    return data


def _check_version(blobs: Blobs, path: Path) -> None:
    try:
        version = documents.parse(_read(blobs, "oci-layout"), "oci-layout").get(
            "imageLayoutVersion"
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError("not an OCI layout", where=str(path), hint=NOT_A_LAYOUT) from error
    if version != "1.0.0":
        raise UsageError(f"OCI layout version {version!r} is not known", where=str(path))


def _read(blobs: Blobs, name: str) -> bytes:
    with blobs.open(name) as file:
        data = file.read(_MAX_DOCUMENT + 1)
    if len(data) > _MAX_DOCUMENT:
        raise ArtifactError("the document is larger than 4 MiB", where=name)
    return data


def _descriptors(document: dict[str, Any], key: str) -> list[Descriptor]:
    entries = document.get(key)
    if not isinstance(entries, list):
        raise ArtifactError(f"the document has no list {key!r}", where=key)
    return [_descriptor(entry, f"{key}[{number}]") for number, entry in enumerate(entries)]


def _descriptor(entry: Any, where: str) -> Descriptor:
    found = documents.descriptor(entry, where)
    known = found.platform or {}
    return Descriptor(
        media_type=found.media_type,
        digest=found.digest,
        size=found.size,
        architecture=str(known.get("architecture", "")) if known.get("os") == "linux" else None,
    )


def _images(index: dict[str, Any]) -> dict[str, Any]:
    """Return an index without the documents about images, which have an ``artifactType``."""
    entries = index.get("manifests")
    if not isinstance(entries, list):
        return index
    images = [e for e in entries if not (isinstance(e, dict) and e.get("artifactType"))]
    return {**index, "manifests": images}


def _choose(
    blobs: Blobs, candidates: list[Descriptor], architecture: str | None, path: Path
) -> Descriptor:
    """Pick the manifest, through one level of nested indexes."""
    flat: list[Descriptor] = []
    for candidate in candidates:
        if candidate.media_type in INDEXES:
            nested = documents.parse(read_verified(blobs, candidate), candidate.name)
            flat += _descriptors(_images(nested), "manifests")
        else:
            flat.append(candidate)
    fitting = [found for found in flat if architecture and found.architecture == architecture]
    unnamed = [found for found in flat if found.architecture is None]
    chosen = fitting or (unnamed if architecture else flat)
    if len({found.digest for found in chosen}) == 1:
        return chosen[0]
    raise UsageError(
        f"the layout has {len(chosen)} images for linux/{architecture or '?'}; one is needed",
        where=str(path),
        details=tuple(f"{found.digest} for {found.architecture or 'any'}" for found in flat[:10]),
    )


def _image(blobs: Blobs, manifest: Descriptor) -> Image:
    document = documents.parse(read_verified(blobs, manifest), manifest.name)
    described = _descriptor(document.get("config"), f"{manifest.name}: config")
    layers = _descriptors(document, "layers")
    config = documents.parse(read_verified(blobs, described), described.name)
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != len(layers):
        raise ArtifactError(f"{len(layers)} layers need as many diff_ids", where=described.name)
    for blob, diff_id in zip(layers, diff_ids, strict=True):
        if blob.media_type not in PLAIN_LAYERS | GZIP_LAYERS | ZSTD_LAYERS:
            raise UsageError(f"layers of type {blob.media_type} are not supported", where=blob.name)
        if not isinstance(diff_id, str) or not DIGEST.fullmatch(diff_id):
            raise ArtifactError(f"{diff_id!r} is not a sha256 digest", where=described.name)
    return Image(
        blobs=blobs,
        manifest=manifest.digest,
        config=_config(config, described.name),
        layers=tuple(
            Layer(blob=blob, diff_id=diff_id)
            for blob, diff_id in zip(layers, diff_ids, strict=True)
        ),
        title=_title(document),
    )


def _title(manifest: dict[str, Any]) -> str:
    annotations = manifest.get("annotations")
    title = (annotations if isinstance(annotations, dict) else {}).get(TITLE)
    return title if isinstance(title, str) else ""


def _config(document: dict[str, Any], where: str) -> Config:
    settings = document.get("config") or {}
    if not isinstance(settings, dict):
        raise ArtifactError("config is not an object", where=where)

    def strings(key: str) -> tuple[str, ...]:
        value = settings.get(key) or []
        if not isinstance(value, list) or any(not _is_text(item) for item in value):
            raise ArtifactError(f"{key} is not a list of strings", where=where)
        return tuple(value)

    def text(key: str) -> str:
        value = settings.get(key) or ""
        if not _is_text(value):
            raise ArtifactError(f"{key} is not a string", where=where)
        return str(value)

    pairs = (item.partition("=") for item in strings("Env"))
    return Config(
        architecture=str(document.get("architecture", "")),
        env={name: value for name, _, value in pairs if name},
        user=text("User"),
        workdir=text("WorkingDir"),
        entrypoint=strings("Entrypoint"),
        command=strings("Cmd"),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value
