"""A layer's tar as a table of its members, and the bytes of a few of them."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from envlock.errors import ArtifactError
from envlock.validate.blobs import DAMAGED_TAR
from envlock.validate.stream import LayerStream

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from envlock.validate.blobs import Blobs
    from envlock.validate.layout import Layer

BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """A member: its place among the others, its header's fields, and its content's digest.

    raw: the header blocks as they are, with PAX records; size in bytes.
    """

    number: int
    path: str
    raw: bytes
    fields: tuple[tuple[str, str], ...]
    size: int
    sha256: str


class _Recorded(LayerStream):
    """A layer's stream that keeps what was read as headers."""

    headers = b""

    def read(self, amount: int) -> bytes:
        data = super().read(amount)
        self.headers += data
        return data


def read_table(blobs: Blobs, layer: Layer) -> dict[str, TarMember]:
    """Return a layer's members by path, in order; raises ArtifactError, IntegrityError."""
    found: dict[str, TarMember] = {}

    def note(member: tarfile.TarInfo, raw: bytes, pieces: Iterator[memoryview]) -> None:
        sha256 = hashlib.sha256()
        for piece in pieces:
            sha256.update(piece)
        path = member.name
        while path in found:  # an image of ours has no path twice, others may
            path += " (again)"
        found[path] = TarMember(
            number=len(found),
            path=path,
            raw=raw,
            fields=_fields(member),
            size=member.size,
            sha256=sha256.hexdigest(),
        )

    _walk(blobs, layer, note)
    return found


def spool(blobs: Blobs, layer: Layer, paths: Collection[str]) -> dict[str, BinaryIO]:
    """Return the contents of a few members as files without a name, which the caller closes."""
    kept: dict[str, BinaryIO] = {}

    def note(member: tarfile.TarInfo, _raw: bytes, pieces: Iterator[memoryview]) -> None:
        if member.name not in paths or member.name in kept:
            for _ in pieces:
                pass
            return
        kept[member.name] = out = tempfile.TemporaryFile()  # noqa: SIM115
        for piece in pieces:
            out.write(piece)
        out.seek(0)

    _walk(blobs, layer, note)
    return kept


def _walk(
    blobs: Blobs,
    layer: Layer,
    note: Callable[[tarfile.TarInfo, bytes, Iterator[memoryview]], None],
) -> None:
    """Give each member, its raw header and its content to ``note``; check the layer's digests."""
    try:
        source = blobs.open(layer.blob.name)
    except FileNotFoundError as error:
        raise ArtifactError("the layout lacks this layer", where=layer.blob.name) from error
    with source:
        stream = _Recorded(source, layer, lambda _: None)
        try:
            archive = tarfile.TarFile(fileobj=stream, mode="r", encoding="utf-8")  # type: ignore[arg-type]
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # or it keeps them all
                size = member.size if member.isreg() else 0
                note(member, stream.headers, stream.pieces(size))
                stream.seek(stream.tell() + -size % BLOCK)
                stream.headers = b""
        except DAMAGED_TAR as error:
            stream.check_blob()  # damage explains more than what it led to
            raise ArtifactError(f"not a readable tar: {error}", where=layer.blob.name) from error
        except ArtifactError:
            stream.check_blob()
            raise
        stream.finish()


def _fields(member: tarfile.TarInfo) -> tuple[tuple[str, str], ...]:
    """Return the header's fields as they are told to people (POSIX.1-2017, ustar)."""
    return (
        ("type", member.type.decode("latin-1")),
        ("mode", f"{member.mode:04o}"),
        ("uid", str(member.uid)),
        ("gid", str(member.gid)),
        ("uname", member.uname),
        ("gname", member.gname),
        ("mtime", str(member.mtime)),
        ("linkname", member.linkname),
        ("device", f"{member.devmajor},{member.devminor}"),
        ("pax", ", ".join(f"{k}={v}" for k, v in sorted(member.pax_headers.items()))),
    )
