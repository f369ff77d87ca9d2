"""Gzip members (RFC 1952) written without compressing what is already compressed.

A wheel is a zip, and each of its files is a raw DEFLATE stream: exactly what a gzip member
holds between its header and its CRC.  :class:`GzipWriter` copies such streams between bytes
of our own, so the layer's bytes come from the wheel, whose sha256 is in the lock, and from
``deflate``; never from the zlib at hand, which is asked only to *decompress* (see ``inflating``).

Copied streams are spliced into the running member where possible, because some readers pay
for every member (unpigz starts a thread): a stream that is one block has its final-block
bit in the first byte; with that bit cleared and the end aligned by an empty stored block,
another block may follow.  How many bits the last byte still has cannot be seen without
decoding, so both possible alignments are tried and the one that inflates to the very same
bytes is taken.  Where neither does, the member ends there.

Where it is known what will come out (an earlier build told the digest), large streams are copied
without being inflated, and the plain bytes are not hashed: the digest of what was written
vouches for all of them.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from envlock.errors import ArtifactError
from envlock.layers import deflate
from envlock.layers.crc import crc32_combine
from envlock.layers.inflating import DAMAGED, GZIP, RAW, crc32, decompressor

if TYPE_CHECKING:
    import zlib
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor, Future

HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
"""No name, no time, no hint of a level; OS 255 is "unknown" (RFC 1952, 2.3.1)."""

SPLICE_LIMIT = 1024 * 1024
"""Streams of more plain bytes than this are copied as they come and end their member."""

_PART = 256 * 1024
"""Bytes that are inflated at once, and hashed while they are in the processor's cache."""

_PACKED_PART = 64 * 1024
"""Bytes of our own members that are inflated at once."""

_AHEAD = 8
"""Chunks that helpers may have finished before they are written."""

_FINAL_BLOCK = 0x01


class UnexpectedBytesError(ArtifactError):
    """A stream has another digest than the one that was known beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDigests:
    """What was written.  ``diff_id`` is of the plain bytes, ``digest`` of the gzip bytes.

    Both are ``sha256:`` digests (OCI image-spec, descriptor and config); sizes in bytes.
    """

    diff_id: str
    digest: str
    size: int
    plain_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a layer will be, as an earlier build told.

    seen_here: this machine found it, from artifacts that it had verified.
    """

    digests: StreamDigests
    seen_here: bool


class Streamable(Protocol):
    """Content that knows how to put itself into a gzip stream without being compressed."""

    def write_to(self, stream: GzipWriter) -> None:
        """Write all bytes; raises ArtifactError if they are not the promised ones."""


def opened(stream: bytes, size: int) -> tuple[bytes, bytes] | None:
    """Return a raw DEFLATE stream made joinable and its plain bytes, ``size`` of them.

    None where it cannot be: it has several blocks, or what follows its end is not zero.
    """
    if not stream or not stream[0] & _FINAL_BLOCK:
        return None
    blocks = bytes([stream[0] & ~_FINAL_BLOCK]) + stream[1:]
    decoder = decompressor(RAW)
    try:
        plain = decoder.decompress(blocks, size + 1)
    except DAMAGED:
        return None
    if len(plain) != size or decoder.eof or decoder.unconsumed_tail:
        return None
    for alignment in (deflate.ALIGN, b"\x00" + deflate.ALIGN):
        end = decoder.copy()
        try:
            more = end.decompress(alignment + deflate.END)
        except DAMAGED:
            continue
        if end.eof and not end.unused_data and not more:
            return blocks + alignment, plain
    return None


def inflate(decoder: zlib._Decompress, piece: bytes) -> Iterator[bytes]:
    """Yield what ``piece`` adds, in parts that fit into memory."""
    try:
        plain = decoder.decompress(piece, _PART)
        while plain:
            yield plain
            plain = decoder.decompress(decoder.unconsumed_tail, _PART)
    except DAMAGED as error:
        raise ArtifactError(f"a compressed stream is damaged ({error})") from error


class GzipWriter:
    """Writes gzip members to ``out`` and digests both sides on the way.

    known: what will come out, if that is known; :meth:`finish` holds it against what did.
    helpers: threads that compress bytes of our own, if some are free for that.
    """

    def __init__(
        self,
        out: BinaryIO,
        known: StreamDigests | None = None,
        helpers: Executor | None = None,
    ) -> None:
        self._out = out
        self._known = known
        self._helpers = helpers
        self._compressing: deque[Future[bytes]] = deque()
        self._plain_hash = hashlib.sha256()
        self._packed_hash = hashlib.sha256()
        self._pending = bytearray()
        self._open = False
        self._crc = 0
        self._member_size = 0
        self._size = 0
        self._plain_size = 0

    def write(self, data: bytes) -> None:
        """Add bytes of our own; they are compressed in chunks of a fixed size."""
        self._account(data)
        self._pending += data
        whole = len(self._pending) - len(self._pending) % deflate.CHUNK
        if not whole:
            return
        with memoryview(self._pending) as pending:
            for start in range(0, whole, deflate.CHUNK):
                self._compress(bytes(pending[start : start + deflate.CHUNK]))
        del self._pending[:whole]

    def _compress(self, chunk: bytes) -> None:
        if self._helpers is None:
            self._emit(deflate.compress(chunk))
            return
        self._compressing.append(self._helpers.submit(deflate.compress, chunk))
        if len(self._compressing) > _AHEAD:
            self._emit(self._compressing.popleft().result())

    def copy_stored(self, data: bytes) -> None:
        """Add bytes that are not worth compressing."""
        self._flush()
        self._account(data)
        self._emit(deflate.stored(data))

    def write_large(self, data: bytes) -> None:
        """Add bytes of a file that is too large for ``write``'s encoder."""
        self._flush()
        self._account(data)
        self._emit(deflate.literals(data))

    def copy_blocks(self, blocks: bytes, plain: bytes) -> None:
        """Add blocks that others may follow (see :func:`opened`)."""
        self._flush()
        self._account(plain)
        self._emit(blocks)

    def copy_closed(self, stream: bytes, plain: bytes) -> None:
        """Add a whole raw DEFLATE stream as it is; it ends its member."""
        self.copy_blocks(stream, plain)
        self._end_member()

    def copy_large(self, pieces: Iterable[bytes], size: int, crc: int) -> int:
        """Add a raw DEFLATE stream of ``size`` plain bytes piece by piece; return their CRC-32.

        crc: the CRC-32 that its archive promises; taken on trust where the digest is known.
        Raises ArtifactError if it is not one complete stream of just that size.
        """
        self._flush()
        if self._known is None:
            crc = self._copy_inflated(pieces, size)
        else:
            for piece in pieces:
                self._emit(piece)
        self._crc = crc32_combine(self._crc, crc, size)
        self._count(size)
        self._end_member()
        return crc

    def _copy_inflated(self, pieces: Iterable[bytes], size: int) -> int:
        """Copy a stream that is inflated beside it; return the CRC-32 of what it holds."""
        decoder = decompressor(RAW)
        found, left = 0, size
        for piece in pieces:
            self._emit(piece)
            for plain in inflate(decoder, piece):
                left -= len(plain)
                if left < 0:
                    raise ArtifactError("a compressed stream is longer than its archive says")
                self._plain_hash.update(plain)
                found = crc32(plain, found)
        if not decoder.eof or decoder.unused_data or left:
            raise ArtifactError("a compressed stream is not as long as its archive says")
        return found

    def copy_members(self, pieces: Iterable[bytes]) -> None:
        """Add complete gzip members that an earlier writer made."""
        self._close_member()
        decoder = decompressor(GZIP)
        for piece in pieces:
            self._put(piece)
            size = len(piece) if self._known is None else 0
            for start in range(0, size, _PACKED_PART):
                rest = piece[start : start + _PACKED_PART]
                while rest:
                    plain = decoder.decompress(rest)
                    self._plain_hash.update(plain)
                    self._plain_size += len(plain)
                    rest = decoder.unused_data
                    if decoder.eof:
                        decoder = decompressor(GZIP)

    def finish(self) -> StreamDigests:
        """End the last member and tell the digests; an empty stream is one empty member.

        Raises UnexpectedBytesError where other bytes were known to come out.
        """
        self._flush()
        if not self._size:
            self._emit(b"")
        self._close_member()
        if self._known is not None:
            written = (f"sha256:{self._packed_hash.hexdigest()}", self._size)
            if written != (self._known.digest, self._known.size):
                raise UnexpectedBytesError("this layer is not what an earlier build made of it")
            return self._known
        return StreamDigests(
            diff_id=f"sha256:{self._plain_hash.hexdigest()}",
            digest=f"sha256:{self._packed_hash.hexdigest()}",
            size=self._size,
            plain_size=self._plain_size,
        )

    def _account(self, plain: bytes) -> None:
        if self._known is None:
            self._plain_hash.update(plain)
        self._crc = crc32(plain, self._crc)
        self._count(len(plain))

    def _count(self, size: int) -> None:
        self._member_size += size
        self._plain_size += size

    def _flush(self) -> None:
        while self._compressing:
            self._emit(self._compressing.popleft().result())
        if self._pending:
            self._emit(deflate.compress(bytes(self._pending)))
            self._pending.clear()

    def _emit(self, blocks: bytes) -> None:
        if not self._open:
            self._put(HEADER)
            self._open = True
        self._put(blocks)

    def _close_member(self) -> None:
        """End the running member, if there is one, after blocks of our own."""
        self._flush()
        if self._open:
            self._put(deflate.END)
            self._end_member()

    def _end_member(self) -> None:
        """Write the trailer (RFC 1952, 2.3) behind the member's final block."""
        self._put(self._crc.to_bytes(4, "little"))
        self._put((self._member_size & 0xFFFFFFFF).to_bytes(4, "little"))
        self._open = False
        self._crc = self._member_size = 0

    def _put(self, data: bytes) -> None:
        self._packed_hash.update(data)
        self._size += len(data)
        self._out.write(data)
