"""One file with a lock, its spec and its artifacts, from which a build needs no network.

A bundle is a plain tar (POSIX.1-1988 headers, GNU's numbers for files of 8 GiB and more) of
regular files in one order and without times or owners: the same lock gives the same bytes.
``tar -x`` makes a project of it, whose ``artifacts/`` has the form of the cache's.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, IntegrityError, UsageError
from envlock.files import PIECE, disk_errors, read_pieces, written_beside
from envlock.lock.codec import dump_lock, parse_lock
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from envlock.fetch.store import Store
    from envlock.lock.base import BaseBlob
    from envlock.lock.model import Artifact, Lock
    from envlock.progress import Reporter, Task

HEAD = "envlock-bundle"
"""Name of the first file; what it holds is the version of this format."""

_VERSION = b"1\n"
_BLOCK = 512
_RECORD = 20 * _BLOCK
_SMALL = 64 * 2**20
_SPEC = re.compile(r"envs/[a-z0-9][a-z0-9._-]{0,63}\.yaml")
_LOCK = re.compile(r"locks/[a-z0-9][a-z0-9._-]{0,63}\.[a-z0-9-]+\.lock\.json")


class BundleError(ArtifactError):
    """A file is no bundle, or one that was changed or cut off."""


def pack(
    path: Path, lock: Lock, spec: bytes | None, artifacts: Mapping[str, Path], reporter: Reporter
) -> int:
    """Write a bundle and return its size in bytes.

    spec: the text of the spec, where there is one; artifacts: the local files by sha256, those
    of a base image too.
    Raises IntegrityError where one of them is not what the lock names, and DiskError.
    """
    wanted = _by_sha256(lock)
    total = sum(one.size for one in wanted.values())
    with (
        reporter.task(f"bundling {lock.name}", total, "bytes") as task,
        written_beside(path.parent, f".{path.name}.") as (out, beside),
    ):
        _add_bytes(out, HEAD, _VERSION)
        _add_bytes(out, _lock_name(lock), dump_lock(lock).encode())
        if spec is not None:
            _add_bytes(out, f"envs/{lock.name}.yaml", spec)
        for sha256, one in wanted.items():
            _add_file(out, one, artifacts[sha256], task)
        out.write(bytes(_RECORD - out.tell() % _RECORD if out.tell() % _RECORD else 0))
        out.write(bytes(_RECORD))  # at least two empty blocks end a tar
        size = out.tell()
        out.flush()
        beside.replace(path)
    return size


def unpack(path: Path, store: Store, reporter: Reporter) -> Lock:
    """Bring a bundle's artifacts into the store and return its lock.

    Nothing but what the lock names is taken, and nothing whose sha256 or size differs.  Raises
    BundleError, IntegrityError, LockError, UsageError, DiskError.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UsageError(f"the bundle cannot be read: {error.strerror}", where=str(path)) from None
    with stream, disk_errors(path):
        members = _members(stream, str(path))
        lock = _head(members, stream, str(path))
        wanted = _by_sha256(lock)
        missing = dict(wanted)
        with reporter.task("unpacking", sum(one.size for one in wanted.values()), "bytes") as task:
            for name, size in members:
                if _SPEC.fullmatch(name) and name == f"envs/{lock.name}.yaml" and size < _SMALL:
                    stream.seek(size, 1)
                    continue
                one = missing.pop(name.rpartition("/")[2], None)
                if one is None or name != _artifact_name(one.sha256) or size != one.size:
                    raise _wrong(path, f"{name!r} ({size} bytes) is not what its lock names")
                _take(stream, one, store, task)
    if missing:
        first = next(iter(missing.values())).file
        raise _wrong(
            path,
            f"{counted(len(missing), 'artifact is', 'artifacts are')} not in it, {first} for one",
        )
    return lock


def _lock_name(lock: Lock) -> str:
    return f"locks/{lock.name}.{lock.platform}.lock.json"


def _artifact_name(sha256: str) -> str:
    return f"artifacts/{sha256[:2]}/{sha256}"


def _by_sha256(lock: Lock) -> dict[str, Artifact | BaseBlob]:
    files: list[Artifact | BaseBlob] = [*lock.artifacts, *(lock.base.blobs if lock.base else ())]
    return {one.sha256: one for one in sorted(files, key=lambda one: one.sha256)}


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _padding(size: int) -> int:
    return -size % _BLOCK


def _add_bytes(out: BinaryIO, name: str, data: bytes) -> None:
    out.write(_header(name, len(data)) + data + bytes(_padding(len(data))))


def _add_file(out: BinaryIO, one: Artifact | BaseBlob, path: Path, task: Task) -> None:
    """Add an artifact; what is written is hashed, so that no damaged file gets into a bundle."""
    digest = hashlib.sha256()
    size = 0
    out.write(_header(_artifact_name(one.sha256), one.size))
    with path.open("rb") as stream:
        for piece in read_pieces(stream):
            digest.update(piece)
            size += len(piece)
            out.write(piece)
            task.advance(len(piece))
    if (digest.hexdigest(), size) != (one.sha256, one.size):
        raise IntegrityError(
            f"{one.file} is not the file that the lock names",
            where=str(path),
            hint="remove this file from the cache; the next command fetches it again",
        )
    out.write(bytes(_padding(size)))


def _members(stream: BinaryIO, shown: str) -> Iterator[tuple[str, int]]:
    """Yield (name, size) of each file, with the stream at its content, which is to be read."""
    seen: set[str] = set()
    while True:
        block = stream.read(_BLOCK)
        if len(block) == _BLOCK and not any(block):
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError):
            raise _wrong(shown, "it is cut off, or was changed") from None
        if info.type != tarfile.REGTYPE or info.size < 0:
            raise _wrong(shown, f"{info.name!r} is no plain file")
        if info.name in seen:
            raise _wrong(shown, f"{info.name!r} is in it twice")
        seen.add(info.name)
        end = stream.tell() + info.size
        yield info.name, info.size
        stream.seek(end + _padding(info.size))


def _head(members: Iterator[tuple[str, int]], stream: BinaryIO, shown: str) -> Lock:
    """Read the two files that every bundle begins with."""
    name, size = next(members, ("", 0))
    if name != HEAD or size > _BLOCK:
        raise _wrong(shown, "it does not begin as one")
    version = stream.read(size)
    if version != _VERSION:
        raise _wrong(shown, f"it is of version {version[:20]!r}, and this envlock reads 1")
    name, size = next(members, ("", 0))
    if not _LOCK.fullmatch(name) or size > _SMALL:
        raise _wrong(shown, "it has no lock")
    try:
        text = stream.read(size).decode()
    except UnicodeDecodeError:
        raise _wrong(shown, f"{name} is not UTF-8") from None
    lock = parse_lock(text, f"{shown}:{name}")
    if name != _lock_name(lock):
        raise _wrong(shown, f"{name} is the lock of {lock.name} for {lock.platform}")
    return lock


def _take(stream: BinaryIO, one: Artifact | BaseBlob, store: Store, task: Task) -> None:
    if store.get(one.sha256, one.size) is None:
        store.add(_pieces(stream, one.size), one.sha256, one.size)
    task.advance(one.size)


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := stream.read(min(PIECE, size))):
        size -= len(piece)
        yield piece


def _wrong(path: Path | str, what: str) -> BundleError:
    return BundleError(
        f"this is no bundle that can be used: {what}",
        where=str(path),
        hint="envlock bundle NAME -o FILE.tar writes one; compare sha256 with where it came from",
    )
