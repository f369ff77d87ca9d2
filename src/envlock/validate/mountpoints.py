"""Places for mounts in a read-only root that does not have them.  Standard library only.

A folder in which something is missing is laid out anew in memory, with what the root has there
mounted back into it.
"""

from __future__ import annotations

import stat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from envlock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def root_options(rootfs: Path, targets: Iterable[str], writable: Sequence[str]) -> list[str]:
    """Return bwrap's options that mount a root, read-only, with room for the targets.

    writable: folders that are covered by others later, where anything can be made.  Raises
    UsageError where a link or a file is in a target's way.
    """
    options = ["--ro-bind", str(rootfs), "/"]
    for folder in _incomplete(rootfs, targets, writable):
        options += ["--tmpfs", folder]
        for path in sorted((rootfs / folder.lstrip("/")).iterdir()):
            place = str(PurePosixPath(folder) / path.name)
            if path.is_symlink():
                options += ["--symlink", str(path.readlink()), place]
            else:
                options += ["--ro-bind", str(path), place]
    return options


def closing_options(rootfs: Path, targets: Iterable[str], writable: Sequence[str]) -> list[str]:
    """Return the options that end the making of places: nothing is writable that was not."""
    folders = _incomplete(rootfs, targets, writable)
    return [word for folder in folders for word in ("--remount-ro", folder)]


def _incomplete(rootfs: Path, targets: Iterable[str], writable: Sequence[str]) -> list[str]:
    """Return the root's folders that lack a target or a folder on its way, outer ones first."""
    folders = set()
    for target in targets:
        path = PurePosixPath(target)
        if not path.is_absolute() or ".." in path.parts:
            raise UsageError(f"{target} is no absolute path", hint="write it from / on")
        if not any(path.is_relative_to(place) for place in writable):
            folder = _lacking(rootfs, path)
            folders |= {folder} if folder is not None else set()
    return sorted(folders, key=lambda folder: (folder.count("/"), folder != "/", folder))


def _lacking(rootfs: Path, path: PurePosixPath) -> str | None:
    """Return the last folder on the way to a path where the next step is missing, if one is."""
    here = PurePosixPath("/")
    for part in path.parts[1:]:
        inside = rootfs / str(here / part).lstrip("/")
        try:
            kind = stat.S_IFMT(inside.lstat().st_mode)
        except FileNotFoundError:
            return str(here)
        here /= part
        if kind == stat.S_IFLNK and (rootfs / str(path).lstrip("/")).exists():
            return None  # bwrap follows it
        if kind != stat.S_IFDIR and (here != path or kind == stat.S_IFLNK):
            what = "a link" if kind == stat.S_IFLNK else "a file"
            raise UsageError(
                f"nothing can be shown at {path}: {here} in the image is {what}",
                hint="choose another place",
            )
    return None
