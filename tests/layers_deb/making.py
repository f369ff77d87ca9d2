"""Small packages and shared objects, made in code."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.layers.debtree import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from envlock.layers.deb import ControlFiles
    from envlock.layers.debtree import PackageFacts
    from envlock.layers.entry import Entry

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}
CONTROL = b"Package: demo\nVersion: 1.0-1\nArchitecture: amd64\nDescription: a demo\n more\n"


@dataclass
class Item:
    """A member of data.tar: a directory without data, or what ``type`` says."""

    name: str
    data: bytes | None = None
    mode: int = 0o755
    type: bytes = b""
    target: str = ""
    uid: int = 0
    gid: int = 0
    pax: dict[str, str] = field(default_factory=dict)


def tar(items: Sequence[Item], format: int = tarfile.GNU_FORMAT) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for item in items:
            info = tarfile.TarInfo(item.name)
            info.mode, info.uid, info.gid = item.mode, item.uid, item.gid
            info.linkname, info.pax_headers = item.target, item.pax
            plain = tarfile.REGTYPE if item.data is not None else tarfile.DIRTYPE
            info.type = item.type or plain
            info.size = len(item.data or b"")
            archive.addfile(info, io.BytesIO(item.data or b""))
    return buffer.getvalue()


def ar(members: Sequence[tuple[str, bytes]]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data in members:
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode())
        parts += [data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def deb(
    data: bytes,
    *,
    control: Mapping[str, bytes] | None = None,
    suffix: str = ".xz",
    control_suffix: str = ".xz",
) -> bytes:
    files = {"control": CONTROL, **(control or {})}
    packed = tar([Item("./"), *(Item(f"./{name}", text, 0o644) for name, text in files.items())])
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{control_suffix}", COMPRESS[control_suffix](packed)),
            (f"data.tar{suffix}", COMPRESS[suffix](data)),
        ]
    )


def write_deb(folder: Path, items: Sequence[Item], name: str = "demo", **fields: str) -> Path:
    text = "".join(f"{key}: {value}\n" for key, value in fields.items())
    control = f"Package: {name}\nVersion: {fields.pop('version', '1.0-1')}\nArchitecture: amd64\n"
    path = folder / f"{name}_1.0-1_amd64.deb"
    path.write_bytes(deb(tar(items), control={"control": (control + text).encode()}))
    return path


def shared_object(
    soname: str, machine: int = 62, kind: int = 3, needed: tuple[str, ...] = ()
) -> bytes:
    """Return a 64-bit little-endian ELF file with nothing but a dynamic section."""
    strings = b"\0" + soname.encode() + b"\0"
    tags = [(14, 1)] if soname else []
    for name in needed:
        tags.append((1, len(strings)))
        strings += name.encode() + b"\0"
    header, program = 64, 56 * 2
    at = header + program
    dynamic_size = 16 * (len(tags) + 3)
    strtab = at + dynamic_size
    total = strtab + len(strings)
    tags += [(5, strtab), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", tag, value) for tag, value in tags)
    ident = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    elf = ident + struct.pack(
        "<HHIQQQIHHHHHH", kind, machine, 1, 0, header, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, total, total, 4096)
    segment = struct.pack("<IIQQQQQQ", 2, 4, at, at, at, dynamic_size, dynamic_size, 8)
    return elf + load + segment + dynamic + strings


def shared_object_32(soname: str, machine: int, *needed: str) -> bytes:
    """Return a 32-bit little-endian ELF file, as ``shared_object`` does."""
    strings = bytearray(b"\0")
    tags = []
    for tag, name in [(14, soname), *((1, name) for name in needed)]:
        tags.append((tag, len(strings)))
        strings += name.encode() + b"\0"
    at = 52 + 2 * 32
    strtab = at + 8 * (len(tags) + 2)
    total = strtab + len(strings)
    tags += [(5, strtab), (0, 0)]
    dynamic = b"".join(struct.pack("<iI", tag, value) for tag, value in tags)
    ident = b"\x7fELF" + bytes([1, 1, 1, 0]) + bytes(8)
    elf = ident + struct.pack("<HHIIIIIHHHHHH", 3, machine, 1, 0, 52, 0, 0, 52, 32, 2, 40, 0, 0)
    load = struct.pack("<IIIIIIII", 1, 0, 0, 0, total, total, 5, 4096)
    segment = struct.pack("<IIIIIIII", 2, at, at, at, len(dynamic), len(dynamic), 4, 4)
    return elf + load + segment + dynamic + bytes(strings)


def collect(control: ControlFiles, entries: Iterable[Entry]) -> PackageFacts:
    """Return a package's facts; reads all entries."""
    collector = Collector()
    for entry in entries:
        collector.see(entry)
    return collector.facts(control)
