"""A repository as the shared layer cache of a team.

Each layer is a pure function of what its plan's key is a digest of, so any number of builders can
share one repository: a blob is found by its digest, and a tag for each key names a small manifest
that says which blob that is.  Tags are written whole and by everybody alike; who comes second
writes the same.

What is believed: of a layer whose digest is known beforehand (the lock records it, or this machine
has made it), nothing but its bytes are taken, and they must have that digest.  Only where nothing
is known does the manifest's word count, and the caller decides for which layers.

Of an image whose packages say more than is in its layers the configuration is kept, too, for
whoever has its digest from a lock.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from envlock.errors import ArtifactError, EnvlockError
from envlock.files import disk_errors
from envlock.image.base import LARGEST_CONFIG
from envlock.image.config import CONFIG_TYPE
from envlock.layers.gzipstream import StreamDigests
from envlock.registry import documents
from envlock.registry.errors import MissingError
from envlock.registry.protocol import MANIFEST, Descriptor, Document, digest_of
from envlock.registry.pull import JOBS, pull_blobs
from envlock.registry.reference import DIGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from envlock.fetch.store import Store
    from envlock.progress import Reporter
    from envlock.registry.open import Access
    from envlock.registry.reference import Reference

_T = TypeVar("_T")

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
RECORD = "application/vnd.envlock.layer.v1+json"

CONFIG = "application/vnd.envlock.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
"""What stands where a manifest must name a configuration and has none (OCI manifest.md)."""

_LARGEST_RECORD = 4096
_PIECE = 1 << 20
_MADE_HERE = "layers are made here instead of taken from the cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of layers, in how many: sent to the cache, or there already."""

    sent: int
    there: int


class LayerCache:
    """Layers in one repository, by their digests and by the keys of their plans."""

    def __init__(
        self, reference: Reference, access: Access, store: Store, reporter: Reporter
    ) -> None:
        self.reference = reference
        self._access = access
        self._repository = access.repository(reference)
        self._store = store
        self._reporter = reporter

    def find(self, wanted: Iterable[str]) -> dict[str, int]:
        """Return the sizes in bytes of the blobs that the cache has, by their digests.

        A cache that cannot be reached is no error: there is a warning.
        """
        digests = list(wanted)
        try:
            sizes = _of_all(self._repository.has, digests)
        except EnvlockError as error:
            self._warn(_MADE_HERE, error)
            return {}
        found = zip(digests, sizes, strict=True)
        return {digest: size for digest, size in found if size is not None}

    def config(self, digest: str) -> bytes | None:
        """Return an image's configuration if the cache has it, verified; see :meth:`keep`."""
        size = self.find([digest]).get(digest, 0)
        if not 0 < size <= LARGEST_CONFIG:
            return None
        path = self.bring({digest: size}).get(digest)
        with disk_errors(path) if path is not None else contextlib.nullcontext():
            return path.read_bytes() if path is not None else None

    def bring(self, wanted: Mapping[str, int]) -> dict[str, Path]:
        """Return verified local files of blobs that the cache has, by digest.

        wanted: sizes in bytes by digest.  A cache that cannot be reached, or sends other bytes,
        is no error: there is a warning, and the layer is made here.
        """
        try:
            return pull_blobs(
                [
                    Descriptor(media_type="", digest=digest, size=size)
                    for digest, size in wanted.items()
                ],
                self._repository,
                self._store,
                reporter=self._reporter,
                stop=threading.Event(),  # that one fails stops no push
                pause=self._access.pause,
            )
        except EnvlockError as error:
            self._warn(_MADE_HERE, error)
            return {
                digest: path
                for digest, size in wanted.items()
                if (path := self._store.get(digest.removeprefix("sha256:"), size)) is not None
            }

    def told(self, key: str) -> tuple[StreamDigests, Path] | None:
        """Return what the cache says that the layer of a plan's key is, and its verified file.

        Its digest and plain digest agree with the bytes; that these are what the plan would
        make is the word of who wrote the tag.
        """
        try:
            manifest = self._repository.manifest(_tag(key))
            config = documents.descriptor(
                documents.parse(manifest.data, self._repository.name).get("config"), "config"
            )
            record = self._record(config, key)
            if record.digest not in self.find([record.digest]):
                return None
            path = self.bring({record.digest: record.size}).get(record.digest)
            if path is None:
                return None
            _check_plain(path, record)
        except MissingError:
            return None
        except EnvlockError as error:
            self._warn("a layer is made here instead of taken from the cache", error)
            return None
        return record, path

    def keep(self, layers: Sequence[tuple[str, StreamDigests]], blobs: Path) -> Kept:
        """Put layers, by the keys of their plans, into the cache; raises EnvlockError.

        blobs: the folder where their files are, by digest; a layer that is not there is left
        out unless the cache has it.  What a tag says otherwise is corrected, and told.
        """
        repository = self._repository.for_writing()
        sent = there = 0
        tags = _of_all(repository.resolve, [_tag(key) for key, _ in layers])
        for (key, digests), named in zip(layers, tags, strict=True):
            document, record = _document(key, digests)
            if named == document.digest:
                there += 1
                continue
            if named is not None:
                self._reporter.warn(
                    f"the cache {self.reference} had another layer in the place of "
                    f"{digests.digest}, which is what its artifacts make; it has this one now"
                )
            blob = blobs / digests.digest.removeprefix("sha256:")
            if not blob.exists() and repository.has(digests.digest) is None:
                continue
            repository.upload(digests.digest, digests.size, partial(_opened, blob))
            repository.upload(digest_of(record), len(record), partial(io.BytesIO, record))
            repository.put_manifest(document, _tag(key))
            sent += 1
        return Kept(sent=sent, there=there)

    def keep_config(self, digest: str, blobs: Path) -> None:
        """Put the configuration of an image into the cache, for :meth:`config`.

        blobs: the folder where it is, by digest.  A manifest names it, so that no registry takes
        it for waste.  Raises EnvlockError.
        """
        repository = self._repository.for_writing()
        tag = f"config-{digest.removeprefix('sha256:')}"
        blob = blobs / digest.removeprefix("sha256:")
        with disk_errors(blob):
            config = Descriptor(media_type=CONFIG_TYPE, digest=digest, size=blob.stat().st_size)
        empty = Descriptor(media_type=EMPTY, digest=digest_of(b"{}"), size=2)
        document = _manifest(CONFIG, empty, config)
        if repository.resolve(tag) == document.digest:
            return
        repository.upload(digest, config.size, partial(_opened, blob))
        repository.upload(empty.digest, empty.size, partial(io.BytesIO, b"{}"))
        repository.put_manifest(document, tag)

    def _record(self, config: Descriptor, key: str) -> StreamDigests:
        """Return what a manifest's configuration says of its layer; raises ArtifactError."""
        data = b""
        if config.media_type == RECORD and config.size <= _LARGEST_RECORD:
            for piece in self._repository.blob(config.digest)[1]:
                data += piece
                if len(data) > config.size:
                    break
        told = documents.parse(data, self._repository.name) if data else {}
        fields: dict[str, Any] = {
            name: told.get(name) for name in StreamDigests.__dataclass_fields__
        }
        whole = (fields["size"], fields["plain_size"])
        if (
            digest_of(data) != config.digest
            or told.get("key") != key
            or not all(DIGEST.fullmatch(str(fields[name])) for name in ("digest", "diff_id"))
            or not all(type(number) is int and number > 0 for number in whole)
        ):
            raise ArtifactError("this is no layer of envlock", where=self._repository.name)
        return StreamDigests(**fields)

    def _warn(self, what: str, error: EnvlockError) -> None:
        self._reporter.warn(f"{what}: {error.where or self.reference}: {error.message}")


def _of_all(ask: Callable[[str], _T], names: Sequence[str]) -> list[_T]:
    """Return a registry's answers; several questions are under way at once."""
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(ask, names))


def _opened(blob: Path) -> BinaryIO:
    with disk_errors(blob):
        return blob.open("rb")


def _tag(key: str) -> str:
    return f"layer-{key}"


def _document(key: str, digests: StreamDigests) -> tuple[Document, bytes]:
    """Return the manifest that a layer's tag names, and its configuration."""
    record = json.dumps({"key": key, **asdict(digests)}, sort_keys=True).encode()
    config = Descriptor(media_type=RECORD, digest=digest_of(record), size=len(record))
    layer = Descriptor(media_type=LAYER, digest=digests.digest, size=digests.size)
    return _manifest(RECORD, config, layer), record


def _manifest(kind: str, config: Descriptor, layer: Descriptor) -> Document:
    """Return a manifest of one blob besides its configuration."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": config.plain(),
        "layers": [layer.plain()],
    }
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return Document(media_type=MANIFEST, data=text.encode())


def _check_plain(path: Path, record: StreamDigests) -> None:
    """Raise ArtifactError unless the layer inflates to what is told of it."""
    plain, size = hashlib.sha256(), 0
    try:
        with gzip.open(path) as stream:
            while size <= record.plain_size and (piece := stream.read(_PIECE)):
                plain.update(piece)
                size += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise ArtifactError(f"the layer is not valid gzip: {error}", where=str(path)) from None
    if (f"sha256:{plain.hexdigest()}", size) != (record.diff_id, record.plain_size):
        raise ArtifactError("the layer is not what the cache says of it", where=record.digest)
