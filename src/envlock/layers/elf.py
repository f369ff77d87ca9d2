"""What ldconfig and the dynamic loader read of an ELF shared object.

Follows elf(5) and glibc's elf/readelflib.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

MACHINES: dict[tuple[int, int], int] = {
    (2, 62): 0x0303,  # EM_X86_64, 64 bit: FLAG_X8664_LIB64 | FLAG_ELF_LIBC6
    (1, 62): 0x0803,  # x32: FLAG_X8664_LIBX32 | FLAG_ELF_LIBC6
    (1, 3): 0x0001,  # EM_386: FLAG_ELF, until it turns out to belong to libc.so.6
    (2, 183): 0x0A03,  # EM_AARCH64: FLAG_AARCH64_LIB64 | FLAG_ELF_LIBC6
}
"""(class, machine) to the flags of glibc's sysdeps/generic/ldconfig.h."""

_ELF, _ELF_LIBC6 = 0x0001, 0x0003
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_SONAME = 0, 1, 5, 14
_ET_DYN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedObject:
    """flags as in ld.so.cache; soname ``""`` where the object states none."""

    soname: str
    flags: int


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class _Linking:
    """What links an object to others; strings: where its names begin, None where nowhere."""

    flags: int
    program: bool
    tags: list[tuple[int, int]]
    strings: int | None

    def names(self, data: bytes | mmap.mmap, wanted: int) -> list[str]:
        """Return the names that the entries of one tag point to."""
        if self.strings is None:
            return []
        return [_string(data, self.strings + value) for tag, value in self.tags if tag == wanted]


def read_needed(data: bytes | mmap.mmap) -> tuple[str, ...]:
    """Return the libraries that this file asks the loader for (DT_NEEDED), in its order.

    Nothing where :func:`read_shared_object` knows nothing of it.  Never raises.
    """
    try:
        linking = _linking(data)
        return tuple(linking.names(data, _DT_NEEDED)) if linking is not None else ()
    except (struct.error, IndexError, OverflowError, UnicodeDecodeError):
        return ()


def read_shared_object(data: bytes | mmap.mmap) -> SharedObject | None:
    """Return what ldconfig would know of this file; None where it would skip it.

    Skipped are linker scripts, static archives, programs, objects of other machines and
    damaged files.  Never raises: a package may hold anything under a library's name.
    """
    try:
        return _read(data)
    except (struct.error, IndexError, OverflowError, UnicodeDecodeError):
        return None


def _read(data: bytes | mmap.mmap) -> SharedObject | None:
    linking = _linking(data)
    if linking is None:
        return None
    flags = linking.flags
    if linking.strings is None:
        named = any(tag == _DT_SONAME for tag, _ in linking.tags)
        return None if named else SharedObject(soname="", flags=flags)
    if flags == _ELF:
        libc = {"libc.so.6", "libm.so.6"} & set(linking.names(data, _DT_NEEDED))
        flags = _ELF_LIBC6 if linking.program or libc else _ELF
    soname = next(iter(linking.names(data, _DT_SONAME)), "")
    # A SONAME becomes the name of a link beside the file: a path would leave the directory.
    if "/" in soname or soname in {".", ".."}:
        return None
    return SharedObject(soname=soname, flags=flags)


def _linking(data: bytes | mmap.mmap) -> _Linking | None:
    if data[:4] != b"\x7fELF" or data[5] != 1:  # both targets are little-endian
        return None
    bits = data[4]
    kind, machine = struct.unpack_from("<HH", data, 16)
    flags = MACHINES.get((bits, machine))
    if flags is None or kind != _ET_DYN:
        return None
    segments = _segments(data, bits)
    dynamic = next((segment for segment in segments if segment.kind == _PT_DYNAMIC), None)
    if dynamic is None:
        return None
    tags = _dynamic(data, bits, dynamic)
    return _Linking(
        flags=flags,
        program=any(segment.kind == _PT_INTERP for segment in segments),
        tags=tags,
        strings=_file_offset(segments, next((v for tag, v in tags if tag == _DT_STRTAB), -1)),
    )


def _string(data: bytes | mmap.mmap, start: int) -> str:
    end = data.find(b"\0", start)
    return data[start:end].decode("utf-8") if end >= 0 else ""


def _segments(data: bytes | mmap.mmap, bits: int) -> list[_Segment]:
    if bits == 2:
        (table,) = struct.unpack_from("<Q", data, 32)
        step, count = struct.unpack_from("<HH", data, 54)
    else:
        (table,) = struct.unpack_from("<I", data, 28)
        step, count = struct.unpack_from("<HH", data, 42)
    found = []
    for index in range(count):
        at = table + index * step
        if bits == 2:
            kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, at)
        else:
            kind, offset, address, _, size = struct.unpack_from("<IIIII", data, at)
        found.append(_Segment(kind, offset, address, size))
    return found


def _dynamic(data: bytes | mmap.mmap, bits: int, segment: _Segment) -> list[tuple[int, int]]:
    """Return (tag, value) up to DT_NULL."""
    layout = "<qQ" if bits == 2 else "<iI"
    step = struct.calcsize(layout)
    tags: list[tuple[int, int]] = []
    end = min(segment.offset + segment.size, len(data))
    for at in range(segment.offset, end - step + 1, step):
        tag, value = struct.unpack_from(layout, data, at)
        if tag == _DT_NULL:
            break
        tags.append((tag, value))
    return tags


def _file_offset(segments: list[_Segment], address: int) -> int | None:
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size:
            return address - segment.address + segment.offset
    return None
