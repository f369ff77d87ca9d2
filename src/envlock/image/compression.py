"""An image's layers in another compression: the same tars, so the same image ID.

An image is named twice: by its manifest, which names compressed layers, and by its configuration
(the "image ID"), which names their plain tars (OCI image-spec, config.md).  Another compression
changes the first and never the second.  What each is for stands in docs/how-to/size.md.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from envlock.errors import IntegrityError
from envlock.files import PIECE, disk_errors, write_atomically
from envlock.image.config import LAYER_TYPE, MANIFEST_TYPE, Blob, canonical
from envlock.image.layout import ImageDigests
from envlock.image.pool import packing_pool
from envlock.layers.blobs import layer_blob
from envlock.layers.gzipstream import GzipWriter, StreamDigests
from envlock.layers.unpacked import needed_zstd_module
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from envlock.image.layout import Staging
    from envlock.progress import Reporter

Compression = Literal["reuse", "gzip", "zstd", "none"]

ZSTD_LEVEL = 3
_TAR = "application/vnd.oci.image.layer.v1.tar"
MEDIA_TYPES = {"reuse": LAYER_TYPE, "gzip": LAYER_TYPE, "zstd": f"{_TAR}+zstd", "none": _TAR}


def recompress(
    place: Staging,
    digests: ImageDigests,
    method: Compression,
    *,
    workers: int,
    reporter: Reporter,
) -> ImageDigests:
    """Replace the layers that were built in ``place`` by their tars in another compression.

    gzip: one member, by envlock's own encoder; zstd: by the library at hand; none: plain tars.
    Layers below, of a base image, stay as they are.  Raises ArtifactError where nothing here can
    write zstd, IntegrityError, DiskError.
    """
    if method == "zstd":
        needed_zstd_module("the layers are to be compressed with zstd")
    by_digest = {layer.digest: layer for layer in digests.layers}
    plain = sum(layer.plain_size for layer in by_digest.values())
    amount = plain if method == "gzip" else 0
    made: dict[str, StreamDigests] = {}
    label = f"compressing {counted(len(by_digest), 'layer')} ({method})"
    with (
        reporter.task(label, plain, "bytes") as task,
        packing_pool(workers, amount, len(by_digest)) as pool,
    ):
        largest_first = sorted(by_digest.values(), key=lambda layer: -layer.plain_size)
        waiting = [(one, pool.submit(convert, place.blobs, one, method)) for one in largest_first]
        for one, future in waiting:
            made[one.digest] = future.result()
            task.advance(one.plain_size)
            if made[one.digest].digest != one.digest:
                _blob(place.blobs, one.digest).unlink()
    return _renamed(place, digests, made, method)


def convert(blobs: Path, layer: StreamDigests, method: Compression) -> StreamDigests:
    """Write one layer in another compression beside the one that is there."""
    source = _blob(blobs, layer.digest)
    with disk_errors(source), gzip.open(source) as stream, layer_blob(blobs) as (out, done):
        sink = _SINKS[method](out)
        tar = hashlib.sha256()
        for piece in _pieces(stream, source):
            tar.update(piece)
            sink.write(piece)
        digest, size = sink.end()
        if f"sha256:{tar.hexdigest()}" != layer.diff_id:
            raise IntegrityError(
                "a layer is not what it was when it was made",
                where=str(source),
                hint="build again with --check",
            )
        result = StreamDigests(
            diff_id=layer.diff_id, digest=digest, size=size, plain_size=layer.plain_size
        )
        done.append(result)
    return result


class _Sink(Protocol):
    def write(self, data: bytes) -> None: ...

    def end(self) -> tuple[str, int]:
        """Finish, and return digest and size of what was written."""


class _OneMember:
    """A single gzip member (RFC 1952), for readers that stumble over several."""

    def __init__(self, out: BinaryIO) -> None:
        self._writer = GzipWriter(out)

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def end(self) -> tuple[str, int]:
        made = self._writer.finish()
        return made.digest, made.size


class _Plain:
    """Bytes as they come."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._out.write(data)
        self._digest.update(data)
        self._size += len(data)

    def end(self) -> tuple[str, int]:
        return f"sha256:{self._digest.hexdigest()}", self._size


class _Zstd(_Plain):
    """One zstd frame (RFC 8878)."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__(out)
        self._encoder = needed_zstd_module().ZstdCompressor(level=ZSTD_LEVEL)

    def write(self, data: bytes) -> None:
        super().write(self._encoder.compress(data))

    def end(self) -> tuple[str, int]:
        super().write(self._encoder.flush())
        return super().end()


_SINKS: dict[str, Callable[[BinaryIO], _Sink]] = {"gzip": _OneMember, "zstd": _Zstd, "none": _Plain}


def _pieces(stream: gzip.GzipFile, source: Path) -> Iterator[bytes]:
    try:
        while piece := stream.read(PIECE):
            yield piece
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise IntegrityError(f"a layer cannot be read: {error}", where=str(source)) from error


def _renamed(
    place: Staging, digests: ImageDigests, made: dict[str, StreamDigests], method: Compression
) -> ImageDigests:
    """Write a manifest of the new layers, and let the index name it."""
    index = json.loads((place.folder / "index.json").read_bytes())
    (descriptor,) = index["manifests"]
    old = _blob(place.blobs, descriptor["digest"])
    text = old.read_bytes()
    content: dict[str, Any] = json.loads(text)
    for layer in content["layers"]:
        new = made.get(layer["digest"])
        if new is not None:
            layer |= {
                "mediaType": MEDIA_TYPES[method],
                "digest": new.digest,
                "size": new.size,
            }
    manifest = Blob(media_type=MANIFEST_TYPE, data=canonical(content))
    write_atomically(_blob(place.blobs, manifest.digest), manifest.data)
    descriptor |= manifest.descriptor()
    write_atomically(place.folder / "index.json", canonical(index))
    if manifest.digest != digests.manifest:
        old.unlink()
    layers = tuple(made[layer.digest] for layer in digests.layers)
    gone = len(text) + sum(layer.size for layer in digests.layers)
    size = digests.size - gone + len(manifest.data) + sum(layer.size for layer in layers)
    return ImageDigests(manifest=manifest.digest, config=digests.config, layers=layers, size=size)


def _blob(blobs: Path, digest: str) -> Path:
    return blobs / digest.removeprefix("sha256:")
