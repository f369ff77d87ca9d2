"""Find a program inside a root file system, and tell whether this machine can run such ones.

The search is ``execvp``'s, without running anything.  Symbolic links are followed inside the
root only: an absolute one starts there, and no ``..`` leaves it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Literal

from envlock.errors import SandboxError
from envlock.platforms import PLATFORMS
from envlock.validate.sandbox import DEFAULT_PATH, NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from envlock.validate.inside import Inside

Found = Literal["there", "not-executable", "missing", "unknown"]

_MAX_LINKS = 40  # as the kernel's MAXSYMLINKS
_NOT_THE_IMAGES = ("/proc", "/dev")


def find_program(inside: Inside, program: str, *, mounted: Iterable[str] = ()) -> Found:
    """Tell whether ``program``, a path or a name on the image's PATH, can be run.

    mounted: where something else than the image is to be seen; what lies there is "unknown".
    """
    places = (*_NOT_THE_IMAGES, *(os.path.normpath(place) for place in mounted))
    if not program:
        return "missing"
    if "/" in program:
        folders = [""]
    else:
        path = inside.env.get("PATH", DEFAULT_PATH)
        folders = [f"{folder or '.'}/" for folder in path.split(":")]
    seen: set[Found] = set()
    for folder in folders:
        place = f"{folder}{program}"
        place = place if place.startswith("/") else f"{inside.workdir}/{place}"
        seen.add(_look(inside.rootfs, place, places))
        if seen & {"there", "unknown"}:
            break
    for answer in ("there", "unknown", "not-executable"):
        if answer in seen:
            return answer
    return "missing"


def require_runnable(
    inside: Inside, architecture: str, python: str = "python3", *, hint: str
) -> None:
    """Raise SandboxError where the image is for another machine and nothing emulates that one.

    architecture: the image's, as GOARCH; python: a program that it may have; hint: what the
    caller may do then.  In an image for this machine nothing is run.
    """
    machine = os.uname().machine
    native = {known.machine: known.oci for known in PLATFORMS.values()}.get(machine)
    if architecture in {native, ""}:
        return
    for argv in (("true",), ("sh", "-c", ":"), (python, "--version")):
        if find_program(inside, argv[0]) == "there":
            if inside.run(argv).returncode != NOT_FOUND:
                return
            raise SandboxError(
                f"this image is for linux/{architecture} and this machine is {machine}", hint=hint
            )


def resolved(root: Path, path: str) -> str | None:
    """Return where in ``root`` the regular file is that ``path`` leads to, None without one.

    Both are absolute there; the answer has no link on its way.
    """
    found = _walk(root, path, ())
    return found[0] if isinstance(found, tuple) and stat.S_ISREG(found[1]) else None


def resolved_folder(root: Path, path: str) -> str | None:
    """Return where in ``root`` the folder is that ``path`` leads to, None without one.

    Both are absolute there; the answer has no link on its way.
    """
    found = _walk(root, path, ())
    return found[0] if isinstance(found, tuple) and stat.S_ISDIR(found[1]) else None


def _look(root: Path, path: str, mounted: tuple[str, ...]) -> Found:
    """Tell what ``path``, absolute in the root, is."""
    found = _walk(root, path, mounted)
    if not isinstance(found, tuple):
        return found
    _, mode = found
    if not stat.S_ISREG(mode):
        return "not-executable"
    return "there" if mode & 0o111 else "not-executable"


def _walk(
    root: Path, path: str, mounted: tuple[str, ...]
) -> tuple[str, int] | Literal["missing", "unknown"]:
    """Walk from link to link; return what is there, and its mode, or why that is not known."""
    left = [part for part in reversed(path.split("/")) if part]
    current: list[str] = []
    mode = stat.S_IFDIR
    links = 0
    while left:
        part = left.pop()
        if part == ".":
            continue
        if not stat.S_ISDIR(mode):
            return "missing"
        if part == "..":
            del current[-1:]
            continue
        here = "/".join(["", *current, part])
        if here in mounted:
            return "unknown"
        try:
            state = os.lstat(f"{root}{here}")
            target = os.readlink(f"{root}{here}") if stat.S_ISLNK(state.st_mode) else None  # noqa: PTH115
        except OSError:
            # the way to a mount may be made with it
            on_the_way = any(place.startswith(f"{here}/") for place in mounted)
            return "unknown" if on_the_way else "missing"
        if target is None:
            current.append(part)
            mode = state.st_mode
            continue
        links += 1
        if links > _MAX_LINKS:
            return "missing"
        if target.startswith("/"):
            current = []
        left += [name for name in reversed(target.split("/")) if name]
    return "/".join(["", *current]), mode
