"""Members of conda packages: ``.conda`` (a zip of two zstd tars) and ``.tar.bz2`` (CEP 20)."""

from __future__ import annotations

import bz2
import functools
import hashlib
import json
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError, FetchError
from envlock.layers.condaarchive import unpacks_to
from envlock.layers.tarreader import Streamed
from envlock.layers.tarreader import read_members as tar_members
from envlock.layers.unpacked import needed_zstd_module
from envlock.layers.zipcontent import BROKEN_ZIP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import requests

    from envlock.layers.tarreader import Member, Reader
    from envlock.lock.model import Artifact

DIRECTORY = "directory"
"""The mark of what is no file."""

_LIMIT = 64 * 1024 * 1024
"""Bytes of one member that is read; lists of paths and METADATA are far smaller."""


def has_ranges(artifact: Artifact, url: str) -> bool:
    """Tell whether a part of a package can be read without the rest."""
    return artifact.file.endswith(".conda") and not url.startswith("file:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a package says of its files.

    marks: by path, what equal files have in common (:func:`differ` compares them), empty where
    nothing tells; points: entry points of a noarch Python package, as its ``link.json`` has them.
    """

    marks: Mapping[str, str]
    points: tuple[str, ...] = ()


def read_info(artifact: Artifact, place: Path | str, session: requests.Session | None) -> Info:
    """Return a package's list of its files, from a file, or from a URL by HTTP range.

    Raises ArtifactError, FetchError.
    """
    found: dict[str, bytes] = {}
    assert artifact.conda is not None
    wanted = {"info/paths.json"}
    if artifact.conda.noarch == "python":
        wanted.add("info/link.json")
    with _readable(artifact), _tar(artifact, place, "info", session) as members:
        for name, content in members:
            if name in wanted or name == "info/files":
                found[name] = content()
            if wanted <= found.keys():
                break
        points = _points(found.get("info/link.json"))
        if "info/paths.json" in found:
            listed = json.loads(found["info/paths.json"])["paths"]
            marks = {str(entry["_path"]): _mark(entry) for entry in listed}
            return Info(marks=marks, points=points)
        if "info/files" in found:
            files = found["info/files"].decode().splitlines()
            return Info(marks=dict.fromkeys(files, ""), points=points)
    raise ArtifactError(f"{artifact.file} has no list of its files")


def _points(link: bytes | None) -> tuple[str, ...]:
    said = json.loads(link).get("noarch") or {} if link is not None else {}
    return tuple(str(point) for point in said.get("entry_points") or ())


def _mark(entry: Mapping[str, object]) -> str:
    """Return what two files with the same bytes have in common; empty where that is not told.

    A file's own sha256, and what stands in it for the prefix; of a link nothing tells where it
    leads.
    """
    kind, sha256 = entry.get("path_type", "hardlink"), entry.get("sha256")
    if kind == "directory":
        return DIRECTORY
    if kind != "hardlink" or not isinstance(sha256, str):
        return ""
    placeholder = f"{entry.get('prefix_placeholder') or ''}"
    if not placeholder:
        return sha256[:32]
    text = f"{entry.get('file_mode')} {placeholder}"
    return f"{sha256[:32]} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def differ(one: str, other: str) -> bool | None:
    """Tell whether files with these marks differ once they are installed; None: nobody knows."""
    if one and one == other:
        return False
    if not one or not other or one.partition(" ")[2] != other.partition(" ")[2]:
        return None
    return True


def read_members(artifact: Artifact, place: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """Return the content of the ``wanted`` files of a package; raises ArtifactError."""
    left = set(wanted)
    found: dict[str, bytes] = {}
    with _readable(artifact), _tar(artifact, place, "pkg", None) as members:
        for name, content in members:
            if name in left:
                found[name] = content()
                left.discard(name)
            if not left:
                break
    return found


@contextmanager
def _readable(artifact: Artifact) -> Iterator[None]:
    """Turn what a broken archive makes of its readers into an ArtifactError."""
    zstd = needed_zstd_module()
    try:
        yield
    except ArtifactError as error:
        error.where = error.where or artifact.file
        raise
    except (zstd.ZstdError, *BROKEN_ZIP, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{artifact.file} is no conda package: {error}") from None


@contextmanager
def _tar(
    artifact: Artifact, place: Path | str, part: str, session: requests.Session | None
) -> Iterator[Iterator[tuple[str, Callable[[], bytes]]]]:
    """Yield (name, function that reads it) for the members of a part of a package."""
    if artifact.file.endswith(".tar.bz2"):
        with bz2.open(place) as plain:
            yield _members(_Bounded(plain, artifact))
        return
    with _zip(place, session) as archive:
        name = next(
            (n for n in archive.namelist() if n.startswith(f"{part}-") and n.endswith(".tar.zst")),
            None,
        )
        if name is None:
            raise ArtifactError(f"{artifact.file} has no {part} part")
        with archive.open(name) as raw, needed_zstd_module().open(raw) as stream:
            yield _members(_Bounded(stream, artifact))


@contextmanager
def _zip(place: Path | str, session: requests.Session | None) -> Iterator[zipfile.ZipFile]:
    if isinstance(place, Path):
        with zipfile.ZipFile(place) as archive:
            yield archive
        return
    import requests
    from remotezip import RemoteZip, RemoteZipError

    try:
        with RemoteZip(place, session=session) as remote:
            yield remote
    except (RemoteZipError, requests.RequestException) as error:
        raise FetchError(f"the server does not give parts of it: {error}", where=place) from None


class _Bounded:
    """A stream that refuses to go on for ever: the bytes of a package, unpacked."""

    def __init__(self, stream: Any, artifact: Artifact) -> None:
        self._stream, self._left = stream, unpacks_to(artifact.size)

    def read(self, size: int, /) -> bytes:
        data: bytes = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ArtifactError("it unpacks to absurdly many bytes")
        return data


def _members(stream: Reader) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for member in tar_members(stream, pax=True, content=Streamed):
        if member.kind == "file":
            yield member.name.removeprefix("./"), functools.partial(_content, member)


def _content(member: Member) -> bytes:
    if member.content.size > _LIMIT:
        raise ArtifactError(f"{member.name} is larger than {_LIMIT} bytes")
    return member.content.read()
