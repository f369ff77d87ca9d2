"""Enters an unpacked image with nothing but a mount namespace; run by root, never imported.

``argv[1]`` is JSON: root, binds [source, target, writable, device], tmpfs, env, user, workdir,
argv.  What the sandbox would keep apart besides files (processes, network, capabilities that
root keeps until the user changes) is *not* kept apart.  Exit code 125 and a line on stderr
where the way in cannot be made.  Standard library only, and nothing is imported once the root
has changed.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEWNS = 0x00020000  # sched.h
# sys/mount.h
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
_NO_NEW_PRIVS = 38  # linux/prctl.h
_FAILED, _NOT_FOUND = 125, 127
_ENOENT = 2

libc = ctypes.CDLL(None, use_errno=True)


def must(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    words = [os.fsencode(word) or None for word in (source, target, kind)]
    must(libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data)), f"mount {target}")


def bind(source: str, target: str, writable: bool) -> None:
    """Show ``source`` at ``target``, which is made where a folder in memory allows it."""
    if not os.path.lexists(target):
        folder = target if os.path.isdir(source) else os.path.dirname(target)  # noqa: PTH112, PTH120
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        if folder != target:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    mount(source, target, "", _BIND)
    if not writable:
        mount("none", target, "", _BIND | _REMOUNT | _RDONLY)


def enter(request: dict[str, Any]) -> None:
    """Make the mounts, and change root, folder and user."""
    root = str(request["root"])
    must(libc.unshare(_NEWNS), "unshare")
    mount("none", "/", "", _REC | _PRIVATE)
    bind(root, root, writable=False)
    for place in request["tmpfs"]:
        mount("tmpfs", f"{root}{place}", "tmpfs", 0, "mode=1777")
    mount("tmpfs", f"{root}/dev", "tmpfs", 0, "mode=755")
    mount("/proc", f"{root}/proc", "", _BIND | _REC)
    for name in ("null", "zero", "full", "random", "urandom"):
        bind(f"/dev/{name}", f"{root}/dev/{name}", writable=True)
    os.mkdir(f"{root}/dev/shm")  # noqa: PTH102, S108
    mount("tmpfs", f"{root}/dev/shm", "tmpfs", 0, "mode=1777")  # noqa: S108
    for source, target, writable, device in request["binds"]:
        bind(source, f"{root}{target}", writable or device)
    os.chroot(root)
    os.chdir(str(request["workdir"]))
    uid, gid = request["user"]
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    must(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def execute(argv: list[str], env: dict[str, str]) -> None:
    """Become the program, searched for as execvp(3) does.

    By hand: os.execvpe would import a module now, and the image's files are in the way.
    """
    said = "not found"
    folders = [""] if "/" in argv[0] else env.get("PATH", "/usr/bin:/bin").split(":")
    for folder in folders:
        try:
            os.execve(f"{folder}/{argv[0]}" if folder else argv[0], argv, env)  # noqa: S606
        except OSError as error:
            if error.errno != _ENOENT:
                said = str(error.strerror)
    sys.stderr.write(f"envlock: {argv[0]}: {said}\n")
    sys.exit(_NOT_FOUND)


def main() -> None:
    request = json.loads(sys.argv[1])
    try:
        enter(request)
    except OSError as error:
        sys.stderr.write(f"envlock: {error}\n")
        sys.exit(_FAILED)
    execute(request["argv"], request["env"])


if __name__ == "__main__":
    main()
