"""The files of an OCI image layout (image-layout.md): of a directory, or of a tar of one.

Standard library only.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from envlock.errors import DiskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOT_A_LAYOUT = "give the directory that holds oci-layout and index.json, or a tar of it"

DAMAGED_TAR = (tarfile.TarError, ValueError, OverflowError, RecursionError)
"""What tarfile raises for headers that are none; the last one for long names without an end."""


class Blobs(Protocol):
    """The files of a layout; names are ``/`` separated and relative to it."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; raises FileNotFoundError where there is none."""


@dataclass(frozen=True, slots=True)
class DirectoryBlobs:
    """A layout that lies in a directory."""

    root: Path

    def open(self, name: str) -> BinaryIO:
        return (self.root / name).open("rb")


@dataclass(frozen=True, slots=True)
class ArchiveBlobs:
    """A layout inside an uncompressed tar, read where it lies; nothing is unpacked.

    members: name to (offset, size) in bytes of the regular files in the archive.
    """

    archive: Path
    members: Mapping[str, tuple[int, int]]

    def open(self, name: str) -> BinaryIO:
        if name not in self.members:
            raise FileNotFoundError(name)
        offset, size = self.members[name]
        file = self.archive.open("rb")
        file.seek(offset)
        return _Region(file, size)  # type: ignore[return-value]


class _Region:
    """The next ``size`` bytes of an open file, as much of a file as reading needs."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, amount: int = -1) -> bytes:
        wanted = self._left if amount < 0 else min(amount, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def blobs_of(path: Path) -> Blobs:
    """Return the files of the layout at ``path``; raises UsageError where it is none, DiskError."""
    if path.is_dir():
        return DirectoryBlobs(path)
    if not path.is_file():
        raise UsageError("there is no image here", where=str(path), hint=NOT_A_LAYOUT)
    members: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isreg() and not member.issparse():
                    members[member.name.removeprefix("./")] = (member.offset_data, member.size)
    except DAMAGED_TAR as error:
        raise UsageError(
            f"not an uncompressed tar of an OCI layout: {error}",
            where=str(path),
            hint=NOT_A_LAYOUT,
        ) from error
    except OSError as error:
        raise DiskError(f"cannot read the archive: {error}", where=str(path)) from error
    return ArchiveBlobs(path, members)
