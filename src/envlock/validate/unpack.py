"""Unpack one layer into an empty directory of our own, and write down what it holds.

OCI image-spec, layer.md ("Changeset over a filesystem", "Whiteouts").  A layer may not leave
its directory: names are normalised and checked, and every parent must be a directory that
this same layer made, so nothing is ever written through a symbolic link, whoever planted it.
Owners, extended attributes, setuid and setgid are dropped: the tree belongs to whoever runs
envlock and is only ever mounted read-only.  Modification times are kept, since a .pyc may
name its source's.  Standard library only.
"""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError
from envlock.layers.entry import check_path
from envlock.validate.blobs import DAMAGED_TAR
from envlock.validate.stream import LayerStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from envlock.validate.blobs import Blobs
    from envlock.validate.layout import Layer

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."  # aufs' own files, which mean nothing to anyone else
_HOSTILE = "this layer is malformed or hostile; do not use the image"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class LayerFacts:
    """What a layer does to the file system below it; paths are relative and ``/`` separated.

    dirs: path to mode, None for a parent that the layer uses but does not list;
    symlinks: path to target as written; files: regular files, in the layer's tree;
    whiteouts: paths that it removes from lower layers; opaque: directories whose lower
    content it hides.
    """

    dirs: dict[str, int | None] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    symlinks: dict[str, str] = field(default_factory=dict)
    whiteouts: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)

    def to_data(self) -> dict[str, Any]:
        """Return this as JSON-able data."""
        return {
            "dirs": self.dirs,
            "files": sorted(self.files),
            "symlinks": self.symlinks,
            "whiteouts": sorted(self.whiteouts),
            "opaque": sorted(self.opaque),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> LayerFacts:
        """Read what :meth:`to_data` gave."""
        return cls(
            dirs=dict(data["dirs"]),
            files=set(data["files"]),
            symlinks=dict(data["symlinks"]),
            whiteouts=set(data["whiteouts"]),
            opaque=set(data["opaque"]),
        )


def unpack_layer(
    blobs: Blobs, layer: Layer, tree: Path, heard: Callable[[int], None]
) -> LayerFacts:
    """Unpack ``layer`` into the existing empty directory ``tree`` and verify it on the way.

    heard: told of compressed bytes read.  Raises IntegrityError for a wrong digest, diffID or
    size, ArtifactError for a layer that breaks the rules, OSError from the disk; ``tree`` is
    worthless then.
    """
    try:
        source = blobs.open(layer.blob.name)
    except FileNotFoundError as error:
        raise ArtifactError("the layout lacks this layer", where=layer.blob.name) from error
    with source:
        stream = LayerStream(source, layer, heard)
        try:
            facts = _Unpacker(stream, tree, layer.blob.name).run()
            stream.finish()
        except ArtifactError:
            stream.check_blob()  # damage explains more than what it led to
            raise
    return facts


class _Unpacker:
    """The state of one layer's extraction; nobody else writes to ``tree``."""

    def __init__(self, stream: LayerStream, tree: Path, where: str) -> None:
        self._stream = stream
        self._tree = os.fspath(tree)
        self._where = where
        self._facts = LayerFacts()

    def run(self) -> LayerFacts:
        try:
            archive = tarfile.TarFile(
                fileobj=self._stream,  # type: ignore[arg-type]
                mode="r",
                encoding="utf-8",
            )
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # or it keeps them all
                self._entry(member)
        except DAMAGED_TAR as error:
            raise self._bad(f"not a readable tar: {error}") from error
        last = self._stream.last_header  # tarfile takes a damaged header for the end
        if any(last) or len(last) not in {0, tarfile.BLOCKSIZE}:
            raise self._bad("the tar is cut off or damaged")
        return self._facts

    def _entry(self, member: tarfile.TarInfo) -> None:
        path = self._clean(member.name)
        if not path:
            if not member.isdir():
                raise self._bad("the root is not a directory")
            return
        parent, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT):
            self._whiteout(parent, name, path)
            self._skip(member)
            return
        self._parents(parent)
        if member.isdir():
            self._directory(path, member)
        elif member.issparse():
            raise self._bad(f"{path!r} is a sparse file, which image layers should not hold")
        elif member.isreg():
            self._file(path, member)
        elif member.issym():
            self._symlink(path, member)
        elif member.islnk():
            self._hardlink(path, member)
        elif path.startswith("dev/"):
            return  # base images may have some, and what is mounted there hides them
        else:
            raise self._bad(f"{path!r} is a device, a pipe or of an unknown type")

    def _clean(self, name: str) -> str:
        """Return the normal form; ``""`` is the root."""
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if (name.startswith("/") and parts) or ".." in parts or "\0" in name:
            raise self._bad(f"the path {name!r} leaves the layer's root")
        path = "/".join(parts)
        try:
            return check_path(path) if path else path
        except ArtifactError as error:
            raise self._bad(error.message) from None

    def _whiteout(self, parent: str, name: str, path: str) -> None:
        if name == OPAQUE:
            self._facts.opaque.add(parent)
        elif name.startswith(_AUFS):
            return
        elif (hidden := name.removeprefix(WHITEOUT)) in {"", ".", ".."}:
            raise self._bad(f"the whiteout {path!r} names nothing")
        else:
            self._facts.whiteouts.add(f"{parent}/{hidden}" if parent else hidden)

    def _parents(self, parent: str) -> None:
        missing = []
        while parent and parent not in self._facts.dirs:
            if parent in self._facts.files or parent in self._facts.symlinks:
                raise self._bad(f"an entry lies below {parent!r}, which is not a directory")
            missing.append(parent)
            parent = parent.rpartition("/")[0]
        for path in reversed(missing):
            self._mkdir(path)
            self._facts.dirs[path] = None

    def _directory(self, path: str, member: tarfile.TarInfo) -> None:
        if path in self._facts.files or path in self._facts.symlinks:
            raise self._bad(f"{path!r} is listed as a directory and as something else")
        if path not in self._facts.dirs:
            self._mkdir(path)
        self._facts.dirs[path] = member.mode & 0o1777

    def _mkdir(self, path: str) -> None:
        try:
            os.mkdir(f"{self._tree}/{path}", 0o755)  # noqa: PTH102 - 30,000 of these
        except FileExistsError:
            raise self._bad(f"{path!r} is listed twice") from None

    def _file(self, path: str, member: tarfile.TarInfo) -> None:
        self._make_room(path)
        file = os.open(f"{self._tree}/{path}", _NEW_FILE, 0o600)
        try:
            left = member.size
            for piece in self._stream.pieces(member.size):
                left -= _write(file, piece)
            if left:
                raise self._bad(f"the tar ends inside {path!r}")
            os.fchmod(file, member.mode & 0o777 | 0o400)
            moment = min(max(int(member.mtime), 0), 1 << 33)
            os.utime(file, (moment, moment))
        finally:
            os.close(file)
        self._pad(member.size)
        self._facts.files.add(path)

    def _symlink(self, path: str, member: tarfile.TarInfo) -> None:
        if not member.linkname or "\0" in member.linkname:
            raise self._bad(f"the symbolic link {path!r} has no usable target")
        self._make_room(path)
        self._facts.symlinks[path] = member.linkname

    def _hardlink(self, path: str, member: tarfile.TarInfo) -> None:
        target = self._clean(member.linkname)
        if target == path:
            raise self._bad(f"{path!r} is a hard link to itself")
        if target in self._facts.symlinks:
            self._make_room(path)
            self._facts.symlinks[path] = self._facts.symlinks[target]
            return
        if target not in self._facts.files:
            raise self._bad(f"{path!r} is a hard link to {target!r}, not a file of this layer")
        self._make_room(path)
        os.link(f"{self._tree}/{target}", f"{self._tree}/{path}", follow_symlinks=False)
        self._facts.files.add(path)

    def _make_room(self, path: str) -> None:
        """Let a later entry of the same name replace an earlier one."""
        if path in self._facts.dirs:
            raise self._bad(f"{path!r} is listed as a directory and as something else")
        if path in self._facts.files:
            os.unlink(f"{self._tree}/{path}")  # noqa: PTH108
            self._facts.files.discard(path)
        self._facts.symlinks.pop(path, None)

    def _skip(self, member: tarfile.TarInfo) -> None:
        if member.isreg():
            self._stream.seek(self._stream.tell() + member.size)
            self._pad(member.size)

    def _pad(self, size: int) -> None:
        self._stream.read(-size % tarfile.BLOCKSIZE)

    def _bad(self, message: str) -> ArtifactError:
        return ArtifactError(message, where=self._where, hint=_HOSTILE)


def _write(file: int, piece: memoryview) -> int:
    size = len(piece)
    while piece:
        piece = piece[os.write(file, piece) :]
    return size
