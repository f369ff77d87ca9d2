"""Files of a zip archive as raw DEFLATE streams (APPNOTE.TXT 6.3, PEP 427's container).

``zipfile`` reads the central directory; the local headers are read here, because the raw
streams are wanted and because an archive whose two halves disagree is refused.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from envlock.errors import ArtifactError
from envlock.layers.gzipstream import SPLICE_LIMIT, inflate, opened
from envlock.layers.inflating import DAMAGED, RAW, crc32, decompressor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from envlock.layers.gzipstream import GzipWriter

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_FLAG_ENCRYPTED, _FLAG_DESCRIPTOR, _FLAG_UTF8 = 0x1, 0x8, 0x800
_EXTRA_UNICODE_PATH = 0x7075
_PIECE = 1024 * 1024
"""Bytes of a stored file that are copied at once: a change of this changes digests."""

_PACKED_PIECE = 128 * 1024
"""Bytes that are inflated at once, and what they make is hashed while the processor has it near."""

BROKEN_ZIP: tuple[type[Exception], ...] = (
    zipfile.BadZipFile, ValueError, RuntimeError, EOFError, LookupError, OverflowError, OSError,
    struct.error, zlib.error,
)  # fmt: skip
"""What zipfile raises for archives that are none, are damaged or encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipMember:
    """One file of a zip; ``size`` and ``packed_size`` in bytes, ``start`` an offset."""

    archive: BinaryIO
    name: str
    start: int
    packed_size: int
    size: int
    crc: int
    deflated: bool

    def read(self) -> bytes:
        """Return the plain bytes; raises ArtifactError if size or CRC-32 differ."""
        return b"".join(self.plain_pieces())

    def plain_pieces(self) -> Iterator[bytes]:
        """Yield the plain bytes in parts that fit into memory; raises like ``read``."""
        crc = size = 0
        for piece in self._inflated() if self.deflated else self._pieces():
            size += len(piece)
            if size > self.size:
                break
            crc = crc32(piece, crc)
            yield piece
        self._verify(crc, size)

    def write_to(self, stream: GzipWriter) -> None:
        """Copy the raw stream into a layer, verifying its content on the way."""
        if not self.deflated:
            crc = 0
            for piece in self._pieces():
                crc = crc32(piece, crc)
                stream.copy_stored(piece)
            self._verify(crc, self.packed_size)
        elif self.size > SPLICE_LIMIT or self.packed_size > 2 * SPLICE_LIMIT:
            self._verify(stream.copy_large(self._pieces(), self.size, self.crc), self.size)
        else:
            self._write_small(stream, b"".join(self._pieces()))

    def _write_small(self, stream: GzipWriter, packed: bytes) -> None:
        found = opened(packed, self.size) if self.size else None
        if found is not None:
            self._verify(crc32(found[1]), self.size)
            stream.copy_blocks(*found)
            return
        plain = self._plain(packed)
        if plain:
            stream.copy_closed(packed, plain)

    def _pieces(self) -> Iterator[bytes]:
        self.archive.seek(self.start)
        left = self.packed_size
        size = _PACKED_PIECE if self.deflated else _PIECE
        while left:
            piece = self.archive.read(min(size, left))
            if not piece:
                raise ArtifactError(f"{self.name!r} is cut off")
            left -= len(piece)
            yield piece

    def _inflated(self) -> Iterator[bytes]:
        decoder = decompressor(RAW)
        for piece in self._pieces():
            yield from inflate(decoder, piece)
        if not decoder.eof or decoder.unused_data:
            raise ArtifactError(f"{self.name!r} is not as long as its archive says")

    def _plain(self, packed: bytes) -> bytes:
        decoder = decompressor(RAW)
        try:
            plain = decoder.decompress(packed, self.size + 1)
        except DAMAGED as error:
            raise ArtifactError(f"{self.name!r} is damaged ({error})") from error
        if not decoder.eof or decoder.unused_data:
            raise ArtifactError(f"{self.name!r} is not as long as its archive says")
        self._verify(crc32(plain), len(plain))
        return plain

    def _verify(self, crc: int, size: int) -> None:
        if (crc, size) != (self.crc, self.size):
            raise ArtifactError(f"{self.name!r} does not have the size and CRC-32 of its archive")


@dataclass(frozen=True, slots=True)
class Joined:
    """A file of a zip with bytes of our own behind it."""

    head: ZipMember
    tail: bytes

    @property
    def size(self) -> int:
        return self.head.size + len(self.tail)

    def read(self) -> bytes:
        return self.head.read() + self.tail

    def write_to(self, stream: GzipWriter) -> None:
        self.head.write_to(stream)
        stream.write(self.tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipFileInfo:
    """What the central directory says of a regular file, and where its content lies."""

    name: str
    unix_mode: int
    member: ZipMember


def read_zip(path: Path, archive: BinaryIO) -> list[ZipFileInfo]:
    """Return the regular files of the zip ``path``, open as ``archive``, in archive order.

    Raises ArtifactError for anything that two readers could understand differently:
    duplicate names, local headers that disagree, overlapping content, encryption, a
    compression method other than stored and deflated.
    """
    try:
        with zipfile.ZipFile(archive) as reader:
            infos = reader.infolist()
    except BROKEN_ZIP as error:
        raise ArtifactError(f"{path.name} is not a usable zip archive ({error})") from error
    names = [info.filename for info in infos]
    if len(set(names)) != len(names):
        twice = min(name for name, count in Counter(names).items() if count > 1)
        raise ArtifactError(f"{path.name} has two entries with the name {twice!r}")
    files, end = [], 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise ArtifactError(f"{path.name}: {info.filename!r} overlaps another entry")
        start = _content_start(path, archive, info)
        end = start + info.compress_size
        files.append((info, start))
    order = {name: place for place, name in enumerate(names)}
    files.sort(key=lambda pair: order[pair[0].filename])
    return [_file(archive, info, start) for info, start in files if not info.is_dir()]


def _file(archive: BinaryIO, info: zipfile.ZipInfo, start: int) -> ZipFileInfo:
    member = ZipMember(
        archive=archive,
        name=info.filename,
        start=start,
        packed_size=info.compress_size,
        size=info.file_size,
        crc=info.CRC,
        deflated=info.compress_type == zipfile.ZIP_DEFLATED,
    )
    return ZipFileInfo(name=info.filename, unix_mode=info.external_attr >> 16, member=member)


def _content_start(path: Path, archive: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Return where the content begins, after checking the local file header."""
    where = f"{path.name}: {info.filename!r}"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ArtifactError(f"{where} has compression method {info.compress_type}, not deflate")
    if info.filename != info.orig_filename or not info.filename or "\\" in info.filename:
        raise ArtifactError(f"{where} is written with characters that no path has")
    if _unicode_path(info.extra) not in {None, info.filename.encode()}:
        raise ArtifactError(f"{where} has another name in its extra field")
    if info.is_dir() and info.file_size:
        raise ArtifactError(f"{where} is a folder with content")
    archive.seek(info.header_offset)
    raw = archive.read(_LOCAL_HEADER.size)
    if len(raw) < _LOCAL_HEADER.size or raw[:4] != _LOCAL_MAGIC:
        raise ArtifactError(f"{where} has no local file header")
    _, _, flags, method, _, _, crc, packed, plain, name_size, extra_size = _LOCAL_HEADER.unpack(raw)
    name = archive.read(name_size)
    encoding = "utf-8" if flags & _FLAG_UTF8 else "cp437"
    if name.decode(encoding, "surrogateescape") != info.filename:
        raise ArtifactError(f"{where} has another name in its local file header")
    if (info.flag_bits | flags) & _FLAG_ENCRYPTED:
        raise ArtifactError(f"{where} is encrypted")
    sizes_follow = flags & _FLAG_DESCRIPTOR or 0xFFFFFFFF in {packed, plain}
    if method != info.compress_type or (
        not sizes_follow and (crc, packed, plain) != (info.CRC, info.compress_size, info.file_size)
    ):
        raise ArtifactError(f"{where} is described differently by its local file header")
    return info.header_offset + _LOCAL_HEADER.size + int(name_size) + int(extra_size)


def _unicode_path(extra: bytes) -> bytes | None:
    """Return the name of Info-ZIP's Unicode Path field, which Python reads from 3.12 on."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == _EXTRA_UNICODE_PATH:
            return extra[9 : 4 + size]
        extra = extra[4 + size :]
    return None
