"""``/etc/ld.so.cache`` as ldconfig writes it, without ldconfig or a root folder.

The format is glibc's "glibc-ld.so.cache1.1" with the extension section of glibc 2.33
(sysdeps/generic/dl-cache.h); the order of entries and strings and the choice of files follow
elf/ldconfig.c, elf/cache.c and elf/stringtable.c of glibc 2.36, so that the bytes are the same.
Left out are the old hardware capability directories (``tls``, ``haswell``, ...): glibc 2.37
dropped them and Debian ships none.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cmp_to_key
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from envlock.layers.elf import SharedObject

HWCAPS = "glibc-hwcaps"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = "<20sIIB3xI12x"
_ENTRY = "<iIIIQ"
_LITTLE_ENDIAN = 2
_EXTENSION_MAGIC = 0xEAA42174
_TAG_GENERATOR, _TAG_HWCAPS = 0, 1
_HWCAP_EXTENSION = 1 << 62

ACCEPTED: Mapping[str, frozenset[int]] = {
    "x86_64-linux-gnu": frozenset({0x0303, 0x0803, 0x0003, 0x0001}),
    "aarch64-linux-gnu": frozenset({0x0A03}),
}
"""The kinds of objects (``SharedObject.flags``) that each target's ldconfig knows."""

_ELF, _ELF_LIBC6 = 0x0001, 0x0003
_TELLS_ELF = (2, 36)
"""The newest glibc of a Debian release whose ldconfig tells FLAG_ELF from FLAG_ELF_LIBC6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One library: found by ``soname``, loaded from ``path`` (absolute).

    hwcaps: the name of its directory below ``glibc-hwcaps``, or ``""``.
    """

    soname: str
    path: str
    flags: int
    hwcaps: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link that ldconfig would make: ``path`` (no leading slash) to ``target``."""

    path: str
    target: str


class Root(Protocol):
    """The image's tree, as far as ldconfig looks at it; paths have no leading slash."""

    def resolve(self, path: str) -> str | None:
        """Return where ``path`` leads after all links; None if nothing is there."""

    def is_directory(self, path: str) -> bool: ...

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a directory (a path without links)."""

    def is_link(self, path: str) -> bool: ...

    def shared_object(self, path: str) -> SharedObject | None:
        """Return what is known of a file (a path without links)."""


def compare_names(left: str, right: str) -> int:
    """Compare as ``_dl_cache_libcmp`` does: numbers by value, and digits after all else."""
    first, second = left.encode(), right.encode()
    one = two = 0
    while one < len(first):
        digit, other = first[one : one + 1].isdigit(), second[two : two + 1].isdigit()
        if digit != other:
            return 1 if digit else -1
        if digit:
            number, one = _number(first, one)
            against, two = _number(second, two)
            if number != against:
                return -1 if number < against else 1
            continue
        if first[one : one + 1] != second[two : two + 1]:
            return -1 if first[one : one + 1] < second[two : two + 1] else 1
        one, two = one + 1, two + 1
    return -1 if two < len(second) else 0


def _number(text: bytes, start: int) -> tuple[int, int]:
    end = start
    while text[end : end + 1].isdigit():
        end += 1
    return int(text[start : min(end, start + 4000)]), end  # Python refuses longer numbers


def configured_directories(files: Mapping[str, bytes], multiarch: str) -> list[str]:
    """Return the directories that ldconfig searches, absolute, in its order.

    files: the contents of ``etc/ld.so.conf`` and of all that it may include, by path without
    a leading slash.  The trusted directories of Debian's ldconfig come last.
    """
    found = _parse_conf("etc/ld.so.conf", files, depth=0)
    return [*found, f"/lib/{multiarch}", f"/usr/lib/{multiarch}", "/lib", "/usr/lib"]


def _parse_conf(name: str, files: Mapping[str, bytes], depth: int) -> list[str]:
    if name not in files or depth > 8:
        return []
    found: list[str] = []
    for line in files[name].decode("utf-8", "replace").splitlines():
        words = line.split("#", 1)[0].strip()
        if re.match(r"include[ \t]", words):
            for pattern in words[8:].split():
                for path in _matching(pattern, name.rpartition("/")[0], files):
                    found += _parse_conf(path, files, depth + 1)
        elif words and not re.match(r"hwcap[ \t]", words, re.IGNORECASE):
            # ``dir=type`` was for libc5; the type no longer matters.
            found.append(words.split("=", 1)[0].rstrip().rstrip("/"))
    return [path for path in found if path.startswith("/")]


def _matching(pattern: str, folder: str, files: Mapping[str, bytes]) -> list[str]:
    """Return the paths that a glob pattern names; its ``*`` matches no slash."""
    full = pattern.lstrip("/") if pattern.startswith("/") else f"{folder}/{pattern}"
    return [
        path
        for path in sorted(files)
        if path.count("/") == full.count("/") and fnmatchcase(path, full)
    ]


def is_library_name(name: str) -> bool:
    """Tell whether ldconfig looks at a file of this name (``_dl_is_dso``)."""
    if name.endswith(".#prelink#"):
        return False
    return (name.startswith(("lib", "ld-")) and ".so" in name) or name.startswith(
        ("ld.so.", "ld64.so.")
    )


@dataclass(frozen=True, slots=True)
class _Folder:
    """A library directory as the cache shows it (absolute), and where it really is."""

    shown: str
    real: str
    hwcaps: str = ""


def scan(
    root: Root, directories: Sequence[str], multiarch: str, glibc: tuple[int, ...]
) -> tuple[list[CacheEntry], list[Link]]:
    """Return the cache's entries, and the links for SONAMEs that the tree lacks.

    glibc: the version of the ldconfig that is followed, as ``(2, 41)``.

    ldconfig would also turn a SONAME's link to a newer file of that SONAME; Debian ships no
    two such files in one directory, and a package's link stays as it is.
    """
    entries: list[CacheEntry] = []
    links: list[Link] = []
    for folder in _folders(root, directories):
        for soname, name, is_link, kind in _search(root, folder, ACCEPTED[multiarch]):
            here = f"{folder.real}/{soname}"
            if not folder.hwcaps and not is_link and root.resolve(here) is None:
                links.append(Link(path=here, target=name))
            # In a glibc-hwcaps directory the file itself is named, and no links are made.
            path = f"{folder.shown}/{name if folder.hwcaps else soname}"
            flags = _ELF_LIBC6 if kind == _ELF and glibc > _TELLS_ELF else kind
            entries.append(CacheEntry(soname=soname, path=path, flags=flags, hwcaps=folder.hwcaps))
    return entries, links


def _folders(root: Root, directories: Sequence[str]) -> list[_Folder]:
    """Return each directory that exists once, under its first name, and its hwcaps' ones."""
    found: dict[str, _Folder] = {}
    for directory in directories:
        real = root.resolve(directory.lstrip("/"))
        if real is None or real in found or not root.is_directory(real):
            continue
        found[real] = _Folder(directory, real)
        above = f"{real}/{HWCAPS}"
        for name in sorted(root.names(above)) if root.is_directory(above) else ():
            if root.is_directory(f"{above}/{name}"):
                folder = _Folder(f"{directory}/{HWCAPS}/{name}", f"{above}/{name}", name)
                found[folder.real] = folder
    return list(found.values())


def _search(
    root: Root, folder: _Folder, accepted: frozenset[int]
) -> list[tuple[str, str, bool, int]]:
    """Return (SONAME, file name, "it is a link", flags) as ldconfig's search_dir finds them.

    Of several with one SONAME a file goes before a link, and a newer name before an older.
    """
    best: dict[str, tuple[str, str, bool, int]] = {}
    for name in sorted(root.names(folder.real)):
        found = _candidate(root, folder.real, name)
        if found is None or found[2] not in accepted:
            continue
        soname, is_link, flags = found
        if soname in best:
            _, other, other_is_link, _ = best[soname]
            newer = is_link == other_is_link and compare_names(other, name) < 0
            if not newer and (is_link or not other_is_link):
                continue
        best[soname] = (soname, name, is_link, flags)
    return list(best.values())


def _candidate(root: Root, real: str, name: str) -> tuple[str, bool, int] | None:
    """Return (soname, "it is a link", flags) of a name in a library directory."""
    if not is_library_name(name):
        return None
    path = f"{real}/{name}"
    target = root.resolve(path)
    library = root.shared_object(target) if target else None
    if library is None:
        return None
    soname, is_link = library.soname or name, root.is_link(path)
    # A link that is neither the SONAME nor the linker's ``.so`` link counts as a file.
    if is_link and name != soname and not (name.endswith(".so") and soname.startswith(name)):
        is_link = False
    return (name if is_link else soname), is_link, library.flags


def _order(left: CacheEntry, right: CacheEntry) -> int:
    """Compare as elf/cache.c does: names downwards, hwcaps first; other ties keep their order."""
    result = compare_names(right.soname, left.soname)
    if result:
        return result
    if left.flags != right.flags:
        return 1 if left.flags < right.flags else -1
    if bool(left.hwcaps) != bool(right.hwcaps):
        return -1 if left.hwcaps else 1
    return (left.hwcaps > right.hwcaps) - (left.hwcaps < right.hwcaps)


def cache_bytes(entries: Iterable[CacheEntry], generator: str) -> bytes:
    """Return the file's bytes.

    generator: what wrote it, as ``ldconfig`` states it in the extension section; glibc does
    not read it.
    """
    ordered = sorted(entries, key=cmp_to_key(_order))
    names = sorted({entry.hwcaps for entry in ordered if entry.hwcaps})
    base = struct.calcsize(_HEADER) + len(ordered) * struct.calcsize(_ENTRY)
    wanted = [text for entry in ordered for text in (entry.soname, entry.path)]
    table, offsets = _string_table([*wanted, *names], base)
    body = b"".join(
        struct.pack(
            _ENTRY,
            entry.flags,
            offsets[entry.soname],
            offsets[entry.path],
            0,  # an OS version until glibc 2.35
            _HWCAP_EXTENSION | names.index(entry.hwcaps) if entry.hwcaps else 0,
        )
        for entry in ordered
    )
    extension = -(-(base + len(table)) // 4) * 4
    header = struct.pack(_HEADER, _MAGIC, len(ordered), len(table), _LITTLE_ENDIAN, extension)
    padding = bytes(extension - base - len(table))
    tail = _extension(extension, [offsets[name] for name in names], generator.encode())
    return header + body + table + padding + tail


def _string_table(strings: Iterable[str], base: int) -> tuple[bytes, dict[str, int]]:
    """Return a table in which a string may be another's tail, and where each begins."""
    table, offsets = bytearray(), dict[str, int]()
    previous, at = b"", 0
    # From the back, downwards: each string follows at once on those that it is a tail of.
    for data in sorted({text.encode() for text in strings}, key=lambda s: s[::-1], reverse=True):
        if previous.endswith(data) and previous:
            at += len(previous) - len(data)
        else:
            at = len(table)
            table += data + b"\0"
        previous = data
        offsets[data.decode()] = base + at
    return bytes(table), offsets


def _extension(start: int, hwcaps: list[int], generator: bytes) -> bytes:
    count = 2 if hwcaps else 1
    data = start + 8 + 16 * count
    after = data + 4 * len(hwcaps)
    parts = [
        struct.pack("<II", _EXTENSION_MAGIC, count),
        struct.pack("<IIII", _TAG_GENERATOR, 0, after, len(generator)),
    ]
    if hwcaps:
        parts.append(struct.pack("<IIII", _TAG_HWCAPS, 0, data, 4 * len(hwcaps)))
        parts.append(struct.pack(f"<{len(hwcaps)}I", *hwcaps))
    return b"".join([*parts, generator])
