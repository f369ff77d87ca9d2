"""Debian packages as layer entries, without dpkg (deb(5), ar(5), Debian policy 10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.layers.debar import ArMember, read_ar
from envlock.layers.entry import Entry, check_path
from envlock.layers.tarreader import Member, Streamed, read_members
from envlock.layers.unpacked import DECODERS, Unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

ControlFiles = Mapping[str, bytes]
"""The members of control.tar: ``control``, ``md5sums``, ``conffiles``, ``postinst``, ..."""

USR_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Names at the root that are links into /usr in every Debian since 12."""

ALIASES: Mapping[str, str] = {
    **{name: f"usr/{name}" for name in USR_MERGED},
    # base-files ships these two as directories and its postinst makes links of them.
    "var/run": "run",
    "var/lock": "run/lock",
}
"""Directories that are links in the image: what a package puts below one moves."""

CONTROL_LIMIT = 64 << 20
SMALLEST_LIMIT = 256 << 20
LARGEST_RATIO = 200
"""data.tar may unpack to SMALLEST_LIMIT bytes or this many times its size, if that is more."""


def _find(file: BinaryIO) -> tuple[ArMember, ArMember]:
    """Return control.tar and data.tar after checking the archive's shape (deb(5))."""
    members = read_ar(file)
    if not members or members[0].name != "debian-binary":
        raise ArtifactError("not a Debian package: its first member is not debian-binary")
    file.seek(members[0].offset)
    version = file.read(min(members[0].size, 64))
    if not version.startswith(b"2.") or b"\n" not in version:
        raise ArtifactError(f"unknown format version {version!r} of a Debian package")
    # Members that start with an underscore may be ignored, and so may all after data.tar.
    known = [member for member in members[1:] if not member.name.startswith("_")]
    if len(known) < 2:
        raise ArtifactError("a Debian package without control.tar or data.tar")
    return known[0], known[1]


def _suffix(member: ArMember, stem: str) -> str:
    suffix = member.name.removeprefix(stem)
    if not member.name.startswith(stem) or suffix not in DECODERS:
        raise ArtifactError(f"found the member {member.name!r} where {stem} should be")
    return suffix


def _located(error: ArtifactError, path: Path) -> ArtifactError:
    return ArtifactError(
        error.message, where=error.where or path.name, details=error.details, hint=error.hint
    )


def read_control(path: Path) -> ControlFiles:
    """Return the files of a package's control.tar by name.

    Raises ArtifactError for a malformed package.
    """
    try:
        with path.open("rb") as file:
            member, data = _find(file)
            _suffix(data, "data.tar")
            stream = Unpacked(file, member, _suffix(member, "control.tar"), CONTROL_LIMIT)
            files = {
                entry.name.removeprefix("./"): entry.content.read()
                for entry in read_members(stream)
                if entry.kind == "file"
            }
    except ArtifactError as error:
        raise _located(error, path) from None
    if "control" not in files:
        raise ArtifactError("control.tar holds no control file", where=path.name)
    return files


def read_entries(path: Path) -> Iterator[Entry]:
    """Yield what a package puts into the image, in its own order, one file at a time.

    A large file's content is not in memory: it can be had until the next entry is asked for.

    Paths are those of a merged /usr; the directories in ALIASES are left out (the system's
    entries make them links).  Parents may be missing: the tree adds them.  Owners, modes and
    the targets of symlinks are as Debian ships them.
    Raises ArtifactError for a malformed or hostile package, also after the first entries.
    """
    try:
        with path.open("rb") as file:
            control, member = _find(file)
            _suffix(control, "control.tar")
            limit = max(SMALLEST_LIMIT, LARGEST_RATIO * member.size)
            stream = Unpacked(file, member, _suffix(member, "data.tar"), limit)
            for entry in _checked(read_members(stream)):
                if isinstance(entry.content, Streamed):
                    entry.content.where = path.name
                yield entry
    except ArtifactError as error:
        raise _located(error, path) from None


def merged_path(path: str) -> str:
    """Return where ``path`` lies once the directories in ALIASES are links."""
    first, _, rest = path.partition("/")
    if first in USR_MERGED and rest:
        return f"usr/{path}"
    for alias in ("var/run", "var/lock"):
        if path.startswith(f"{alias}/"):
            return ALIASES[alias] + path[len(alias) :]
    return path


def _clean(name: str) -> str:
    """Return a name of data.tar as a path; ``""`` for the root itself."""
    if name.startswith("/"):
        raise ArtifactError(f"the path {name!r} is absolute")
    name = name.removeprefix("./").removesuffix("/")
    return merged_path(check_path(name)) if name not in {"", "."} else ""


def _checked(members: Iterator[Member]) -> Iterator[Entry]:
    """Turn members into entries, and refuse those that meddle with each other."""
    seen: dict[str, tuple[str, str]] = {}
    parents: set[str] = set()
    for member in members:
        path = _clean(member.name)
        if not path or _is_alias(path, member):
            continue
        entry = _entry(path, member)
        earlier = seen.get(path)
        if earlier and not earlier[0] == entry.kind == "dir":
            raise ArtifactError(
                f"{earlier[1]!r} and {member.name!r} are both {path!r} with a merged /usr"
            )
        if member.kind != "dir" and path in parents:
            raise ArtifactError(f"{member.name!r} has paths below it and is no directory")
        _check_parents(path, seen, parents)
        if entry.kind == "hardlink" and seen.get(entry.target, ("",))[0] not in {
            "file",
            "hardlink",
        }:
            raise ArtifactError(
                f"{member.name!r} is a hard link to {member.linkname!r}, no file before it"
            )
        seen[path] = (entry.kind, member.name)
        if not earlier:
            yield entry


def _is_alias(path: str, member: Member) -> bool:
    """Tell whether this is a directory that the image has as a link, or that very link."""
    if path not in ALIASES:
        return False
    if member.kind == "dir":
        return True
    if member.kind == "symlink" and member.linkname.strip("/") == ALIASES[path]:
        return True  # base-files of Debian 13 ships the links
    raise ArtifactError(f"{member.name!r} must be a directory or a link to {ALIASES[path]!r}")


def _check_parents(path: str, seen: Mapping[str, tuple[str, str]], parents: set[str]) -> None:
    """Check and note the directories above ``path``; those noted before are known to be some."""
    parent = path.rpartition("/")[0]
    while parent and parent not in parents:
        if parent in seen and seen[parent][0] != "dir":
            raise ArtifactError(
                f"the path {path!r} leads through {seen[parent][1]!r}, a {seen[parent][0]}",
                hint="this artifact is malformed or hostile; do not use it",
            )
        parents.add(parent)
        parent = parent.rpartition("/")[0]


def _entry(path: str, member: Member) -> Entry:
    entry = Entry(
        path=path,
        kind=member.kind,
        mode=0o777 if member.kind == "symlink" else member.mode,
        uid=_id(member.uid, member.name),
        gid=_id(member.gid, member.name),
    )
    if member.kind == "file":
        return replace(entry, content=member.content)
    if member.kind == "symlink":
        if not member.linkname:
            raise ArtifactError(f"the symlink {member.name!r} has no target")
        return replace(entry, target=member.linkname)
    if member.kind == "hardlink":
        return replace(entry, target=_clean(member.linkname))
    return entry


def _id(number: int, name: str) -> int:
    """Return an owner's number if it is one that Debian allocates statically (policy 9.2.2)."""
    if number < 100 or 60000 <= number < 65000 or number == 65534:
        return number
    raise ArtifactError(
        f"{name!r} belongs to the dynamic user or group number {number}",
        hint="packages may own files only by Debian's static ids (policy 9.2.2)",
    )
