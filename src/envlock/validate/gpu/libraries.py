"""Find the NVIDIA driver's libraries on this machine, without running ldconfig.

The names are those that the NVIDIA container toolkit binds for the capabilities ``compute``
and ``utility`` (libnvidia-container, src/nvc_info.c).  They are looked for where the loader's
cache says (ld.so.cache, glibc's sysdeps/generic/dl-cache.h) and in the folders where
distributions and images put drivers.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.layers.elf import read_shared_object
from envlock.platforms import PLATFORMS

if TYPE_CHECKING:
    from pathlib import Path

STEMS = (
    "libcuda",
    "libcudadebugger",
    "libnvidia-ml",
    "libnvidia-cfg",
    "libnvidia-ptxjitcompiler",
    "libnvidia-nvvm",
    "libnvidia-nvvm70",
    "libnvidia-fatbinaryloader",
    "libnvidia-gpucomp",
    "libnvidia-allocator",
    "libnvidia-compiler",
    "libnvidia-opencl",
    "libnvidia-pkcs11",
    "libnvidia-pkcs11-openssl3",
    "libnvidia-sandboxutils",
)
FOLDERS = (
    "usr/lib/{multiarch}",
    "usr/lib/{multiarch}/nvidia/current",
    "lib/{multiarch}",
    "usr/lib64",
    "lib64",
    "usr/lib",
    "usr/local/nvidia/lib64",
    "usr/local/nvidia/lib",
    "run/opengl-driver/lib",
    "run/nvidia/driver/usr/lib/{multiarch}",
    "run/nvidia/driver/usr/lib64",
)
_CACHE = "etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"
_OLD_MAGIC = b"ld.so-1.7.0\0"
_HEADER, _ENTRY = struct.Struct("<20sIIB3xI12x"), struct.Struct("<iIIIQ")
_VERSION = re.compile(r"\.so\.(\d{2,}(?:\.\d+)+)$")
_KERNEL = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")
_FLAGS = {"x86_64": 0x0303, "aarch64": 0x0A03}


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One library of the driver: where it is here, and the names it is looked for by."""

    path: Path
    names: tuple[str, ...]


def library(path: Path) -> Library | None:
    """Return the library at ``path`` with its names; None where it is not for this machine.

    The names are the file's, its SONAME, and for what programs link with the bare ``.so``
    that the toolkit makes as well (libcuda.so).
    """
    real = path.resolve()
    try:
        with real.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = read_shared_object(data)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None
    if found is None or found.flags != _FLAGS.get(os.uname().machine):
        return None
    names = {real.name, found.soname or path.name, path.name}
    if found.soname.startswith("libcuda.so"):
        names.add("libcuda.so")
    return Library(path=real, names=tuple(sorted(names)))


def version_of(path: Path) -> str | None:
    """Return the driver's version that a library's file name states, ``"580.159.04"``."""
    found = _VERSION.search(path.name)
    return found[1] if found else None


def kernel_version(root: Path) -> str | None:
    """Return the version of the loaded kernel module (/proc/driver/nvidia/version)."""
    try:
        text = (root / "proc/driver/nvidia/version").read_text("utf-8", "replace")
    except OSError:
        return None
    found = _KERNEL.search(text)
    return found[1] if found else None


def cached(root: Path) -> dict[str, list[str]]:
    """Return the loader's cache: SONAME to paths, best first; empty where there is none."""
    try:
        data = (root / _CACHE).read_bytes()
    except OSError:
        return {}
    start = data.find(_MAGIC) if data.startswith((_MAGIC, _OLD_MAGIC)) else -1
    found: dict[str, list[str]] = {}
    try:
        count = _HEADER.unpack_from(data, start)[1] if start >= 0 else 0
        for number in range(count):
            at = start + _HEADER.size + number * _ENTRY.size
            flags, name, path, _, _ = _ENTRY.unpack_from(data, at)
            if flags == _FLAGS.get(os.uname().machine):
                found.setdefault(_text(data, start + name), []).append(_text(data, start + path))
    except struct.error:  # cut off: what was read so far is as good as nothing
        return {}
    return found


def candidates(root: Path) -> list[Path]:
    """Return the folders where the driver may be, those of the loader's cache first."""
    machine = os.uname().machine
    multiarch = next((p.multiarch for p in PLATFORMS.values() if p.machine == machine), machine)
    told = [root / path.lstrip("/") for path in cached(root).get("libcuda.so.1", [])]
    folders = [path.parent for path in told]
    folders += [root / folder.format(multiarch=multiarch) for folder in FOLDERS]
    return list(dict.fromkeys(folders))


def driver_libraries(folders: list[Path], kernel: str | None) -> list[Library]:
    """Return the driver's libraries, libcuda first; empty where there is none.

    kernel: the loaded module's version; a libcuda of another one is passed over if its file
    says so, for it could not talk to it.
    """
    for folder in folders:
        cuda = _pick(folder, "libcuda", kernel)
        if cuda is None:
            continue
        version = version_of(cuda.path) or kernel
        places = [folder, *(other for other in folders if other != folder)]
        found = [cuda]
        for stem in STEMS[1:]:
            picked = (_pick(place, stem, version) for place in places)
            first = next((one for one in picked if one is not None), None)
            if first is not None and first.path not in {one.path for one in found}:
                found.append(first)
        return found
    return []


def _pick(folder: Path, stem: str, version: str | None) -> Library | None:
    """Return the folder's library of this name that belongs to the driver of ``version``."""
    try:
        names = [path.name for path in folder.iterdir() if path.name.startswith(f"{stem}.so")]
    except OSError:
        return None
    # the SONAME's link before the file it leads to: it knows one name more
    for name in sorted(names, key=lambda name: (name != f"{stem}.so.1", name)):
        path = folder / name
        stated = version_of(path.resolve())
        if version and stated and stated != version:
            continue
        found = library(path)
        if found is not None:
            return found
    return None


def _text(data: bytes, start: int) -> str:
    return data[start : data.find(b"\0", start)].decode("utf-8", "replace")
