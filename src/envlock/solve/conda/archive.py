"""Members of conda packages: ``.conda`` (a zip of two zstd tars) and ``.tar.bz2`` (CEP 20)."""

from __future__ import annotations

import bz2
import functools
import json
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError, FetchError
from envlock.layers.condaarchive import unpacks_to
from envlock.layers.tarreader import Streamed
from envlock.layers.tarreader import read_members as tar_members
from envlock.layers.unpacked import needed_zstd_module
from envlock.layers.zipcontent import BROKEN_ZIP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import requests

    from envlock.layers.tarreader import Member, Reader
    from envlock.lock.model import Artifact

_LIMIT = 64 * 1024 * 1024
"""Bytes of one member that is read; lists of paths and METADATA are far smaller."""


def has_ranges(artifact: Artifact, url: str) -> bool:
    """Tell whether a part of a package can be read without the rest."""
    return artifact.file.endswith(".conda") and not url.startswith("file:")


def read_info(artifact: Artifact, place: Path | str, session: requests.Session | None) -> list[str]:
    """Return the paths of a package's files, from a file, or from a URL by HTTP range.

    Raises ArtifactError, FetchError.
    """
    found: dict[str, bytes] = {}
    with _readable(artifact), _tar(artifact, place, "info", session) as members:
        for name, content in members:
            if name in {"info/paths.json", "info/files"}:
                found[name] = content()
            if "info/paths.json" in found:
                break
        if "info/paths.json" in found:
            listed = json.loads(found["info/paths.json"])["paths"]
            return [str(entry["_path"]) for entry in listed]
        if "info/files" in found:
            return found["info/files"].decode().splitlines()
    raise ArtifactError(f"{artifact.file} has no list of its files")


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
