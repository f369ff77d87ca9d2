"""The outer wrapper of a .deb: an ar archive (ar(5), deb(5))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError

if TYPE_CHECKING:
    from typing import BinaryIO

_MAGIC = b"!<arch>\n"


@dataclass(frozen=True, slots=True)
class ArMember:
    """A member of an ar archive; offset and size in bytes."""

    name: str
    offset: int
    size: int


def read_ar(file: BinaryIO) -> list[ArMember]:
    """Return the members of an ar archive (ar(5)); bodies are not read.

    Raises ArtifactError if it is not one, or ends too early.
    """
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ArtifactError("not an ar archive")
    end = file.seek(0, 2)
    position, members = len(_MAGIC), list[ArMember]()
    while position < end:
        file.seek(position)
        member = _ar_member(file.read(60), position + 60)
        position = member.offset + member.size
        if position > end:
            raise ArtifactError(f"the ar archive ends within its member {member.name!r}")
        members.append(member)
        if position % 2 and position < end:
            file.seek(position)
            if file.read(1) != b"\n":
                raise ArtifactError(f"bad padding after the ar member {member.name!r}")
            position += 1
    return members


def _ar_member(header: bytes, offset: int) -> ArMember:
    size = header[48:58].rstrip(b" ")
    if len(header) != 60 or header[58:] != b"`\n" or not size.isdigit():
        raise ArtifactError("bad header in an ar archive")
    # GNU ar ends names with a slash; Debian's are ASCII (deb(5)).
    name = header[:16].rstrip(b" ").removesuffix(b"/")
    if not name.isascii() or not name:
        raise ArtifactError(f"bad member name {name!r} in an ar archive")
    return ArMember(name.decode("ascii"), offset, int(size))
