"""The two archive formats of conda packages (CEP 35: ``.conda``; before it ``.tar.bz2``).

A ``.conda`` is a zip of stored members, two of which are tars compressed with zstd: ``info-``
tells about the package and ``pkg-`` has its files.  A ``.tar.bz2`` is one tar of both.
Each tar is unpacked once into a file without a name, whose members are then read from
where they lie: a package may have more bytes than this machine has memory.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.files import disk_errors
from envlock.layers.deflate import LITERALS_CHUNK
from envlock.layers.entry import check_path
from envlock.layers.tarreader import BLOCK, PIECE, Member, Reader, read_members
from envlock.layers.unpacked import Span, unpacked
from envlock.layers.zipcontent import read_zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

SMALLEST_LIMIT = 1 << 30
LARGEST_RATIO = 200
"""A tar may unpack to SMALLEST_LIMIT bytes or this many times its size, if that is more."""

INFO_LIMIT = 256 << 20
"""Bytes of one file of ``info/`` that is read."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The content of a file that lies in an unpacked tar; offset and size in bytes."""

    file: BinaryIO
    offset: int
    size: int

    def read(self) -> bytes:
        """Return all bytes."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes in parts that fit into memory."""
        for start in range(0, self.size, LITERALS_CHUNK):
            self.file.seek(self.offset + start)
            yield self.file.read(min(LITERALS_CHUNK, self.size - start))


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaArchive:
    """An open package: the members of ``info/`` by the name below it, and all others by path."""

    name: str
    info: Mapping[str, Member]
    members: Mapping[str, Member]

    def text(self, name: str) -> str | None:
        """Return a file of ``info/``, None where the package has none; raises ArtifactError."""
        member = self.info.get(name)
        if member is None or member.kind != "file":
            return None
        if member.content.size > INFO_LIMIT:
            raise ArtifactError(f"info/{name} is absurdly large", where=self.name)
        try:
            return member.content.read().decode("utf-8")
        except UnicodeDecodeError:
            raise ArtifactError(f"info/{name} is not UTF-8", where=self.name) from None


@contextlib.contextmanager
def open_conda(file: BinaryIO, name: str, scratch: Path) -> Iterator[CondaArchive]:
    """Open the package ``name``, whose bytes are ``file``, as long as the context lasts.

    scratch: a folder for what it unpacks to.  Raises ArtifactError for a malformed or hostile
    package, DiskError.
    """
    with contextlib.ExitStack() as stack:
        parts = _conda_parts(file, name) if name.endswith(".conda") else _whole(file, name)
        info: dict[str, Member] = {}
        members: dict[str, Member] = {}
        for part, suffix in parts:
            plain = stack.enter_context(_scratch_file(scratch))
            try:
                with unpacked(file, part, suffix, unpacks_to(part.size)) as source:
                    _spool(source, plain, scratch)
                _index(plain, info, members)
            except ArtifactError as error:
                raise ArtifactError(
                    error.message, where=name, details=error.details, hint=error.hint
                ) from None
        yield CondaArchive(name=name, info=info, members=members)


def _conda_parts(file: BinaryIO, name: str) -> list[tuple[Span, str]]:
    """Return where the two tars of a ``.conda`` are."""
    stem = name.removesuffix(".conda")
    found = {}
    for info in read_zip(Path(name), file):
        if info.member.deflated:
            raise ArtifactError(f"the member {info.name!r} is compressed twice", where=name)
        found[info.name] = Span(info.member.start, info.member.size)
    wanted = (f"info-{stem}.tar.zst", f"pkg-{stem}.tar.zst")
    missing = [part for part in wanted if part not in found]
    if missing:
        raise ArtifactError(
            f"the package has no member {missing[0]!r}, but {', '.join(sorted(found)) or 'none'}",
            where=name,
            hint="was the file renamed? a package's members carry its own name",
        )
    return [(found[part], ".zst") for part in wanted]


def _whole(file: BinaryIO, name: str) -> list[tuple[Span, str]]:
    if not name.endswith(".tar.bz2"):
        raise ArtifactError("not a conda package: neither .conda nor .tar.bz2", where=name)
    return [(Span(0, file.seek(0, 2)), ".bz2")]


def unpacks_to(size: int) -> int:
    """Return the most bytes that a tar may have which is ``size`` bytes compressed."""
    return max(SMALLEST_LIMIT, LARGEST_RATIO * size)


@contextlib.contextmanager
def _scratch_file(scratch: Path) -> Iterator[BinaryIO]:
    with disk_errors(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        plain = tempfile.TemporaryFile(dir=scratch, prefix=".unpacked-")  # noqa: SIM115
    with plain:
        yield plain


def _spool(source: Reader, plain: BinaryIO, scratch: Path) -> None:
    with disk_errors(scratch):
        while piece := source.read(PIECE):
            plain.write(piece)
        plain.seek(0)


def _index(plain: BinaryIO, info: dict[str, Member], members: dict[str, Member]) -> None:
    """Note the members of an unpacked tar; a path that is there twice is refused."""
    for member in read_members(plain, pax=True, content=_skip):
        path = member.name.removeprefix("./").removesuffix("/")
        if path in {"", "."} and member.kind == "dir":
            continue
        check_path(path)
        below_info = path.removeprefix("info/") if path.startswith("info/") else None
        known, key = (members, path) if below_info is None else (info, below_info)
        if path == "info" and member.kind == "dir":
            continue
        if key in known and not known[key].kind == member.kind == "dir":
            raise ArtifactError(f"the package has two members {path!r}", hint=_HOSTILE)
        known[key] = member


_HOSTILE = "this artifact is malformed or hostile; do not use it"


def _skip(source: Reader, size: int, name: str) -> Stored:
    """Return where a content lies in an unpacked tar, and go on behind it."""
    file: BinaryIO = source  # type: ignore[assignment]
    offset = file.tell()
    end = offset + size + -size % BLOCK
    if file.seek(0, 2) < end:
        raise ArtifactError(f"the tar ends within the file {name!r}")
    file.seek(end)
    return Stored(file, offset, size)
