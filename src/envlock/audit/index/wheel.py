"""A wheel's index, straight out of the zip; nothing is unpacked or run."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from dataclasses import replace
from email.parser import Parser
from typing import IO, TYPE_CHECKING, Any, Protocol

from envlock.audit.index.entries import record
from envlock.audit.index.layout import installed_name, modules_in, namespaces_in
from envlock.audit.index.model import WheelIndex
from envlock.audit.index.module import SOURCE_LIMIT, SkippedError, index_source
from envlock.layers.zipcontent import BROKEN_ZIP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from envlock.audit.index.entries import Record
    from envlock.audit.index.layout import Member

METADATA_LIMIT = 16 * 1024 * 1024
MEMBERS_LIMIT = 200_000
TOTAL_LIMIT = 1024 * 1024 * 1024
_PTH_IMPORT = re.compile(r"(?:import|__import__\()\s*['\"]?([A-Za-z_]\w*)")


class Archive(Protocol):
    """What is needed of a zip: its names and the plain bytes of a member."""

    def names(self) -> Sequence[str]:
        """Return all files, in archive order."""

    def size(self, name: str) -> int:
        """Return the plain size that the archive tells."""

    def read(self, name: str, limit: int) -> bytes:
        """Return a member; raises SkippedError when it is damaged or longer than ``limit``."""


class LocalArchive:
    """A wheel on the disk or behind a stream; raises SkippedError if it is no zip."""

    def __init__(self, path: Path | IO[bytes]) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except BROKEN_ZIP as error:
            raise SkippedError(f"not a usable zip archive ({error})") from None
        infos = self._zip.infolist()
        if not all(info.filename for info in infos):
            raise SkippedError("not a usable zip archive (a member has no name)")
        self._infos = {info.filename: info for info in infos if not info.is_dir()}

    def names(self) -> Sequence[str]:
        return list(self._infos)

    def infos(self) -> Sequence[zipfile.ZipInfo]:
        """Return the archive's directory."""
        return list(self._infos.values())

    def size(self, name: str) -> int:
        return self._infos[name].file_size

    def read(self, name: str, limit: int) -> bytes:
        info = self._infos[name]
        if info.file_size > limit:
            raise SkippedError(f"{info.file_size} bytes are more than is read")
        try:
            with self._zip.open(info) as stream:
                data = stream.read(limit + 1)
        except BROKEN_ZIP as error:
            raise SkippedError(f"damaged ({error})") from None
        if len(data) > limit:
            raise SkippedError(f"more than {limit} bytes")
        return data

    def close(self) -> None:
        self._zip.close()


def members_of(archive: Archive) -> dict[str, Member]:
    """Return the modules of a wheel; raises SkippedError for absurd numbers of files or bytes."""
    names = archive.names()
    if len(names) > MEMBERS_LIMIT:
        raise SkippedError(f"{len(names)} files are more than is read")
    members = modules_in(names)
    total = sum(archive.size(member.file) for member in members.values() if member.read)
    if total > TOTAL_LIMIT:
        raise SkippedError(f"{total} bytes of sources are more than is read")
    return members


def index_members(archive: Archive, members: Iterable[Member]) -> tuple[list[Record], list[str]]:
    """Return the packed indexes of modules, and notes on those that were left out."""
    found: list[Record] = []
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for member in members:
            entry: dict[str, Any] = {"kind": member.kind, "file": member.file}
            digest = ""
            if member.read:
                try:
                    source, stub = sources_of(archive, member)
                    package = member.kind == "pkg"
                    entry.update(index_source(source, member.module, package=package, stub=stub))
                    if why := entry.pop("invalid", ""):
                        notes.append(f"{member.file}: {why}")
                    else:
                        digest = digest_of(source, stub)
                except SkippedError as error:
                    entry["kind"] = "skip"
                    notes.append(f"{member.file}: {error}")
            elif member.kind in {"py", "pkg"}:
                entry["kind"] = "skip"
            found.append(record(member.module, entry, digest))
    return found, notes


def reuse_members(
    archive: Archive, members: Iterable[Member], known: Mapping[tuple[str, str, str], Record]
) -> tuple[list[Record], list[Member]]:
    """Return the modules whose sources are known already, and the members that are left."""
    modules = {module for module, _, _ in known}
    found: list[Record] = []
    left: list[Member] = []
    for member in members:
        same = None
        if member.read and member.module in modules:
            try:
                digest = digest_of(*sources_of(archive, member))
            except SkippedError:
                digest = ""  # whoever indexes it says why
            same = known.get((member.module, member.kind, digest))
        if same is None:
            left.append(member)
        else:
            found.append(replace(same, head={**same.head, "file": member.file}))
    return found, left


def distribution_of(archive: Archive) -> str:
    """Return a wheel's name as its folder of metadata has it; empty if there is none."""
    for name in archive.names():
        folder = name.partition("/")[0]
        if folder.endswith(".dist-info"):
            return folder.partition("-")[0]
    return ""


def sources_of(archive: Archive, member: Member) -> tuple[bytes, bytes]:
    """Return a source and, if it takes its names from the stub beside it, that one.

    Raises SkippedError.
    """
    source = archive.read(member.file, SOURCE_LIMIT)
    wanted = member.stub and b"attach_stub" in source
    return source, archive.read(member.stub, SOURCE_LIMIT) if wanted else b""


def digest_of(source: bytes, stub: bytes = b"") -> str:
    """Return what two sources with the same index share; the zip's CRC could be arranged."""
    whole = hashlib.sha256(source)
    if stub:
        whole.update(b"\0" + stub)  # no source that is read holds a null byte
    return whole.hexdigest()


def assemble(
    archive: Archive,
    kinds: Mapping[str, str],
    notes: Sequence[str],
    *,
    fallback: tuple[str, str] = ("", ""),
    verified: bool = True,
) -> WheelIndex:
    """Return a wheel's index without its modules, of which ``kinds`` has the names."""
    metadata = _metadata(archive)
    pth, paths = _pth(archive)
    folders = {
        installed
        for name in archive.names()
        if (installed := installed_name(name)) and installed.endswith((".py", ".so", ".pyi"))
    }
    packages = _package_folders(folders)
    return WheelIndex(
        name=metadata.get("name") or fallback[0],
        version=metadata.get("version") or fallback[1],
        requires=tuple(metadata.get("requires", ())),
        extras=tuple(metadata.get("extras", ())),
        namespaces=tuple(sorted({*namespaces_in(kinds), *packages.difference(kinds)})),
        pth=pth,
        paths=paths,
        entry_points=_entry_points(archive),
        notes=tuple(notes),
        verified=verified,
    )


def _package_folders(files: set[str]) -> set[str]:
    """Return the folders that hold code, as dotted names; they import as namespaces."""
    found = set()
    for file in files:
        parts = file.split("/")[:-1]
        if parts and all(part.isidentifier() for part in parts):
            found.add(".".join(parts))
    return found


def _dist_info(archive: Archive, file: str) -> str:
    for name in archive.names():
        folder, _, rest = name.partition("/")
        if rest == file and folder.endswith(".dist-info"):
            try:
                return archive.read(name, METADATA_LIMIT).decode("utf-8", "replace")
            except SkippedError:
                return ""
    return ""


def _metadata(archive: Archive) -> dict[str, Any]:
    return metadata_of(_dist_info(archive, "METADATA"))


def metadata_of(text: str) -> dict[str, Any]:
    """Return what counts of a text as METADATA and PKG-INFO have it (core metadata)."""
    message = Parser().parsestr(text, headersonly=True)
    return {
        "name": str(message.get("Name", "")),
        "version": str(message.get("Version", "")),
        "requires": [str(line) for line in message.get_all("Requires-Dist") or ()],
        "extras": [str(line) for line in message.get_all("Provides-Extra") or ()],
    }


def _entry_points(archive: Archive) -> tuple[str, ...]:
    return entry_points_of(_dist_info(archive, "entry_points.txt"))


def entry_points_of(text: str) -> tuple[str, ...]:
    """Return ``line group: name = module:attribute`` for each line of an ``entry_points.txt``."""
    found, group = [], ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif "=" in line and not line.startswith("#"):
            found.append(f"{number} {group}: {line}")
    return tuple(found)


def _pth(archive: Archive) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the modules that .pth files run, and the folders that they add (site)."""
    runs: set[str] = set()
    paths: set[str] = set()
    for name in archive.names():
        installed = installed_name(name)
        if installed is None or "/" in installed or not installed.endswith(".pth"):
            continue
        try:
            text = archive.read(name, 1024 * 1024).decode("utf-8", "replace")
        except SkippedError:
            continue
        for line in text.splitlines():
            if line.startswith(("import ", "import\t")):
                runs.update(_PTH_IMPORT.findall(line))
            elif line.strip() and not line.startswith("#"):
                paths.add(line.strip())
    return tuple(sorted(runs)), tuple(sorted(paths))
