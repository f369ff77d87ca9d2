"""What a layer is made of: entries with nothing left to the file system.

No entry knows of a stat call, a clock or a user of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from envlock.errors import ArtifactError

EntryKind = Literal["dir", "file", "symlink", "hardlink"]


class Content(Protocol):
    """The bytes of a regular file; ``size`` in bytes."""

    @property
    def size(self) -> int: ...

    def read(self) -> bytes:
        """Return all bytes."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Content that is at hand."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path in a layer.

    path: relative to the root, ``/`` separated, no leading slash, no ``.`` or ``..``;
    mode: permission bits only; target: of a symlink as written, of a hardlink a path like
    ``path``; uid and gid are numeric, there are no names from this machine.
    """

    path: str
    kind: EntryKind
    mode: int
    content: Content | None = None
    target: str = ""
    uid: int = 0
    gid: int = 0

    def __post_init__(self) -> None:
        check_path(self.path)


NAME_MAX, PATH_MAX = 255, 4096
"""Bytes of a file's name and of a path with its final NUL (linux/limits.h)."""

DEPTH_MAX = 400
"""Folders on the way to a file: Python removes a tree by recursion, one call a folder."""

_SHORT = NAME_MAX // 4
"""Characters that are never too many."""


def check_path(path: str) -> str:
    """Return ``path`` if it is a clean relative path that stays below the root.

    Raises ArtifactError otherwise.
    """
    parts = path.split("/")
    if not path or any(part in {"", ".", ".."} for part in parts) or "\x00" in path:
        raise ArtifactError(
            f"the path {path!r} leaves the image's root or is not in its normal form",
            hint="this artifact is malformed or hostile; do not use it",
        )
    if len(path) > _SHORT and _is_too_long(parts):
        raise ArtifactError(
            f"the path {path[:80]!r}... or a name in it is longer than file systems take",
            hint=f"this artifact cannot be unpacked: {NAME_MAX} bytes a name, {PATH_MAX} in all",
        )
    if len(parts) > DEPTH_MAX:
        raise ArtifactError(
            f"the path {path[:80]!r}... leads through {len(parts) - 1} folders",
            hint="this artifact is malformed or hostile; do not use it",
        )
    return path


def _is_too_long(parts: list[str]) -> bool:
    sizes = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
    return max(sizes) > NAME_MAX or sum(sizes) + len(parts) > PATH_MAX


def directory(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return Entry(path=path, kind="dir", mode=mode, uid=uid, gid=gid)


def regular(path: str, data: bytes, mode: int = 0o644) -> Entry:
    return Entry(path=path, kind="file", mode=mode, content=Bytes(data))


def symlink(path: str, target: str) -> Entry:
    return Entry(path=path, kind="symlink", mode=0o777, target=target)
