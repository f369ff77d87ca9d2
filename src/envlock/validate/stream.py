"""A layer's tar as a stream that is checked while it is read.

One pass: blob bytes → size and sha256 → inflate → sha256 (diffID) → reader.  gzip may come
in any number of members (RFC 1952, 2.2).  Memory stays bounded whatever the stream says.
hashlib and zlib release the GIL, so several layers are read in parallel by threads.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from envlock.errors import ArtifactError, IntegrityError
from envlock.layers.inflating import DAMAGED, GZIP, decompressor
from envlock.layers.unpacked import needed_zstd_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from envlock.validate.layout import Layer

_INPUT = 128 << 10
_OUTPUT = 256 << 10  # hashed and written while the processor has it near
_MAX_HEADER = 16 << 20  # no honest PAX header comes near


class LayerStream:
    """The uncompressed bytes of ``layer``, front to back, with as much of a file as tarfile needs.

    heard: called with the number of compressed bytes after each piece; it may raise to stop.
    """

    def __init__(self, source: BinaryIO, layer: Layer, heard: Callable[[int], None]) -> None:
        self._source = source
        self._layer = layer
        self._heard = heard
        self._blob_hash = hashlib.sha256()
        self._tar_hash = hashlib.sha256()
        self._blob_size = 0
        self._inflate = decompressor(GZIP) if layer.gzipped else None
        self._zstd = needed_zstd_module("the layer is compressed with zstd") if layer.zstd else None
        self._frame = self._zstd.ZstdDecompressor() if self._zstd else None
        self._pending = b""
        self._chunk = memoryview(b"")
        self._position = 0
        self.last_header = b""

    def tell(self) -> int:
        """Return how many uncompressed bytes were handed out."""
        return self._position

    def seek(self, position: int) -> int:
        """Skip forward; tarfile never needs to go back."""
        if position < self._position:
            raise ArtifactError("the tar's headers overlap", where=self._layer.blob.name)
        for _ in self.pieces(position - self._position):
            pass
        return self._position

    def read(self, amount: int) -> bytes:
        """Return ``amount`` bytes, fewer only at the end; for headers, not for file bodies."""
        if not 0 <= amount <= _MAX_HEADER:
            raise ArtifactError(f"a tar header claims {amount} bytes", where=self._layer.blob.name)
        self.last_header = b"".join(self.pieces(amount))
        return self.last_header

    def pieces(self, amount: int) -> Iterator[memoryview]:
        """Yield the next ``amount`` bytes piece by piece; fewer only at the end."""
        while amount > 0:
            if not self._chunk:
                self._chunk = memoryview(self._next())
                if not self._chunk:
                    return
            piece = self._chunk[:amount]
            self._chunk = self._chunk[len(piece) :]
            self._position += len(piece)
            amount -= len(piece)
            yield piece

    def finish(self) -> None:
        """Read to the end and compare; raises ArtifactError or IntegrityError."""
        while piece := self._chunk or self._next():
            if any(piece):
                raise ArtifactError(
                    "something follows the end of the tar", where=self._layer.blob.name
                )
            self._chunk = memoryview(b"")
        self.check_blob()
        found = f"sha256:{self._tar_hash.hexdigest()}"
        if found != self._layer.diff_id:
            raise IntegrityError(
                "the layer's content is not the one that the image's config names",
                where=self._layer.blob.name,
                details=(f"expected diffID {self._layer.diff_id}", f"found {found}"),
            )

    def check_blob(self) -> None:
        """Read the rest of the blob; raises IntegrityError unless size and sha256 agree."""
        while self._raw():
            pass
        blob = self._layer.blob
        found = f"sha256:{self._blob_hash.hexdigest()}"
        if found != blob.digest or self._blob_size != blob.size:
            raise IntegrityError(
                "the layer is not what its descriptor says",
                where=blob.name,
                details=(
                    f"expected {blob.digest}, {blob.size} bytes",
                    f"found {found}, {self._blob_size} bytes",
                ),
                hint="the image was damaged or changed: build it again",
            )

    def _next(self) -> bytes:
        """Return some uncompressed bytes; none only at the end."""
        if self._inflate is not None:
            data = self._inflated()
        else:
            data = self._raw() if self._frame is None else self._decoded()
        self._tar_hash.update(data)
        return data

    def _raw(self) -> bytes:
        data = self._source.read(_INPUT)
        self._blob_hash.update(data)
        self._blob_size += len(data)
        if self._blob_size > self._layer.blob.size:
            raise IntegrityError(
                "the layer is longer than its descriptor says", where=self._layer.blob.name
            )
        self._heard(len(data))
        return data

    def _inflated(self) -> bytes:
        assert self._inflate is not None
        while True:
            data = self._pending or self._raw()
            if self._inflate.eof:
                if not data:
                    return b""
                self._inflate = decompressor(GZIP)
            if not data and not self._inflate.eof:
                return self._end_of_input()
            try:
                piece = self._inflate.decompress(data, _OUTPUT)
            except DAMAGED as error:
                raise ArtifactError(
                    f"the layer is not valid gzip: {error}", where=self._layer.blob.name
                ) from error
            self._pending = self._inflate.unconsumed_tail or self._inflate.unused_data
            if piece:
                return piece

    def _decoded(self) -> bytes:
        """Return some bytes of zstd frames (RFC 8878, 3: any number may follow each other)."""
        assert self._zstd is not None
        assert self._frame is not None
        while True:
            data = b""
            if self._frame.eof:
                data = self._frame.unused_data or self._raw()
                if not data:
                    return b""
                self._frame = self._zstd.ZstdDecompressor()
            elif self._frame.needs_input:
                data = self._raw()
                if not data:
                    raise ArtifactError(
                        "the layer's zstd stream is cut off", where=self._layer.blob.name
                    )
            try:
                piece: bytes = self._frame.decompress(data, _OUTPUT)
            except self._zstd.ZstdError as error:
                raise ArtifactError(
                    f"the layer is not valid zstd: {error}", where=self._layer.blob.name
                ) from error
            if piece:
                return piece

    def _end_of_input(self) -> bytes:
        """Take what zlib still holds; a member that does not end is an error."""
        assert self._inflate is not None
        piece = self._inflate.decompress(b"", _OUTPUT)
        if not piece and not self._inflate.eof:
            raise ArtifactError("the layer's gzip stream is cut off", where=self._layer.blob.name)
        return piece
