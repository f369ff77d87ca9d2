"""What the files of an unpacked base image say: its system, glibc, Python, CUDA, users.

Nothing of the image is run, and links are followed inside its root only.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.validate.lookup import resolved, resolved_folder
from envlock.validate.rootfs import read_inside
from envlock.validate.sandbox import DEFAULT_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from envlock.platforms import Platform

_GLIBC = re.compile(rb"GNU C Library [^\n]{0,200}? release version (\d{1,3}\.\d{1,3})")
_LARGEST_LIBC = 32 << 20
_CUDA = re.compile(r"(\d{1,3}\.\d{1,3})(?:\.\d+)*")
_CUDART = re.compile(r"libcudart\.so\.(\d+\.\d+)")
_LIBRARY = re.compile(r"lib[A-Za-z0-9_+-]+\.so(\.[0-9.]+)?")
_PROGRAMS = ("gcc", "cc", "clang", "tcc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found; paths are absolute in the image.

    glibc: None where there is none; musl: whether its libc is musl's; libraries: shared ones
    by their paths, sizes in bytes; users: names of ``/etc/passwd``; taken: what already lies at
    the environment's place; searched: folders of ``LD_LIBRARY_PATH``, without links on their way;
    compiler: whether a C compiler is on the PATH.
    """

    os: str
    glibc: str | None
    musl: bool
    cuda: str | None
    python: str | None
    libraries: Mapping[str, int] = field(default_factory=dict)
    users: frozenset[str] = frozenset()
    taken: str | None = None
    searched: frozenset[str] = frozenset()
    compiler: bool = False


def look(root: Path, env: Mapping[str, str], platform: Platform, python: str, prefix: str) -> Facts:
    """Return what an image's root has for CPython ``python`` (``"3.11"``).

    env: the image's variables; prefix: where an environment would lie.  Raises OSError where
    the files cannot be read.
    """
    libraries = dict(_libraries(root))
    folders = [folder for folder in env.get("PATH", DEFAULT_PATH).split(":") if folder[:1] == "/"]
    return Facts(
        os=_system(root),
        glibc=_glibc(root, platform),
        musl=resolved(root, f"/lib/ld-musl-{platform.machine}.so.1") is not None,
        cuda=_cuda(env, libraries),
        python=_program(root, folders, f"python{python}"),
        libraries=libraries,
        users=_users(root),
        taken=_taken(root, prefix),
        searched=_searched(root, env),
        compiler=any(_program(root, folders, name) for name in _PROGRAMS),
    )


def _read(root: Path, path: str, limit: int = 1 << 20) -> bytes:
    place = resolved(root, path)
    return (read_inside(root, place, limit) or b"") if place else b""


def _system(root: Path) -> str:
    """Return ``ID VERSION_ID`` (os-release(5)), "unknown" where the image does not say."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        values = {}
        for line in _read(root, path, 65536).decode(errors="replace").splitlines():
            name, sign, value = line.partition("=")
            try:
                words = shlex.split(value) if sign else []
            except ValueError:
                continue
            if len(words) == 1:
                values[name] = re.sub(r"[^A-Za-z0-9._-]", "", words[0])[:40]
        if values.get("ID"):
            return f"{values['ID']} {values.get('VERSION_ID', '')}".strip()
    return "unknown"


def _glibc(root: Path, platform: Platform) -> str | None:
    folders = (f"/lib/{platform.multiarch}", f"/usr/lib/{platform.multiarch}", "/lib64",
               "/usr/lib64", "/lib", "/usr/lib")  # fmt: skip
    for folder in folders:
        match = _GLIBC.search(_read(root, f"{folder}/libc.so.6", _LARGEST_LIBC))
        if match:
            return match[1].decode()
    return None


def _program(root: Path, folders: list[str], name: str) -> str | None:
    """Return where a program is found first, as the PATH names it."""
    for folder in folders:
        path = os.path.normpath(f"{folder}/{name}")
        place = resolved(root, path)
        if place is not None and (root / place[1:]).lstat().st_mode & 0o111:
            return path
    return None


def _cuda(env: Mapping[str, str], libraries: Mapping[str, int]) -> str | None:
    """Return the CUDA version: as the image says, else as its run-time library is called."""
    said = _CUDA.fullmatch(env.get("CUDA_VERSION", ""))
    if said:
        return said[1]
    names = (_CUDART.match(path.rpartition("/")[2]) for path in libraries)
    versions = [tuple(map(int, found[1].split("."))) for found in names if found]
    return "{}.{}".format(*max(versions)) if versions else None


def _users(root: Path) -> frozenset[str]:
    lines = _read(root, "/etc/passwd").decode(errors="replace").splitlines()
    return frozenset(line.partition(":")[0] for line in lines if ":" in line)


def _taken(root: Path, prefix: str) -> str | None:
    """Return what is in the way of an environment: a file or link, or a folder with content."""
    here = ""
    for part in prefix.split("/"):
        here = f"{here}/{part}"
        place = root / here[1:]
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            return here
    return f"/{prefix}" if place.is_dir() and any(place.iterdir()) else None


def _searched(root: Path, env: Mapping[str, str]) -> frozenset[str]:
    folders = (folder for folder in env.get("LD_LIBRARY_PATH", "").split(":") if folder[:1] == "/")
    return frozenset(place for folder in folders if (place := resolved_folder(root, folder)))


def _libraries(root: Path) -> Iterator[tuple[str, int]]:
    """Yield path and size of each shared library."""
    base = os.fspath(root)
    for folder, _, names in os.walk(base):
        for name in names:
            if _LIBRARY.fullmatch(name):
                path = f"{folder}/{name}"
                if not os.path.islink(path):  # noqa: PTH114  tens of thousands of these
                    yield path[len(base) :], os.lstat(path).st_size
