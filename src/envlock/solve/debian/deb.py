"""The control archive of a binary package: ``debian-binary``, ``control.tar.*``, ``data.tar.*``.

deb(5).  Only the control archive is read here, and nothing is written to disk.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, BinaryIO

from envlock.errors import ArtifactError
from envlock.solve.debian.inflate import inflate

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"!<arch>\n"
_HEADER = 60
_LIMIT = 64 << 20
"""Bytes of a control archive, packed or not; Debian's largest have a few MB of md5sums."""


def control_members(stream: BinaryIO) -> dict[str, bytes]:
    """Return the regular files of a .deb's control archive by name; ArtifactError if malformed."""
    for name, size in _members(stream):
        if not name.startswith("control.tar"):
            stream.seek(size + size % 2, io.SEEK_CUR)
            continue
        if size > _LIMIT:
            raise ArtifactError(f"its {name} has {size} bytes")
        packed = stream.read(size)
        return control_files(inflate(packed, name.removeprefix("control.tar"), _LIMIT))
    raise ArtifactError("not a Debian package: it has no control archive")


def _members(stream: BinaryIO) -> Iterator[tuple[str, int]]:
    """Yield name and size of each member of an ar archive; the reader consumes its content."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ArtifactError("not a Debian package: no ar archive")
    while header := stream.read(_HEADER):
        size = header[48:58].strip()
        if len(header) < _HEADER or header[58:] != b"`\n" or not size.isdigit():
            raise ArtifactError("not a Debian package: a damaged ar header")
        yield header[:16].decode("ascii", "replace").strip().rstrip("/"), int(size)


def control_files(tar: bytes) -> dict[str, bytes]:
    """Return the regular files of an uncompressed control.tar by their name."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    files[member.name.removeprefix("./")] = content.read()
    except tarfile.TarError as error:
        raise ArtifactError(f"a damaged control archive: {error}") from error
    return files
