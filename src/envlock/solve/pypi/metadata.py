"""The Requires-Dist of wheels that were chosen but need not be downloaded.

In order: the wheel in the store, the index's own METADATA file (PEP 658), the METADATA at
the end of the remote wheel by HTTP range, the whole wheel.  The second and the third are words:
they are held against the wheel's once its bytes are there, which the lock's sha256 vouches for.
"""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envlock.errors import ArtifactError, FetchError, IntegrityError
from envlock.files import disk_errors
from envlock.layers.zipcontent import BROKEN_ZIP
from envlock.leases import used
from envlock.requirements import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.solve.pypi.choosing import Chosen

_LIMIT = 16 * 1024 * 1024
_UNREADABLE: tuple[type[Exception], ...] = (FetchError, *BROKEN_ZIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A chosen wheel and what its METADATA says (core metadata, Requires-Dist, Provides-Extra).

    extras: normalized names.
    """

    chosen: Chosen
    requires: tuple[Requirement, ...]
    extras: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.chosen.name

    @property
    def version(self) -> str:
        return self.chosen.version


class MetadataReader:
    """Reads METADATA; what was read once is kept in ``cache`` by the wheel's sha256."""

    def __init__(self, http: Http, fetcher: Fetcher, cache: Path) -> None:
        self._http = http
        self._fetcher = fetcher
        self._cache = cache

    def describe(self, chosen: Sequence[Chosen], reporter: Reporter) -> tuple[Described, ...]:
        """Return all wheels with their requirements; raises FetchError, ArtifactError."""
        with (
            reporter.task("reading metadata", len(chosen)) as task,
            ThreadPoolExecutor(8) as pool,
        ):

            def one(wheel: Chosen) -> Described:
                sized = wheel if wheel.size else replace(wheel, size=self._size(wheel))
                described = _parse(sized, self.text(sized))
                task.advance(1)
                return described

            return tuple(pool.map(one, chosen))

    def known(self, sha256: str, size: int, name: str) -> bytes | None:
        """Return the METADATA of a wheel that is in the store, else what was read of it before."""
        stored = self._fetcher.store.get(sha256, size)
        if stored is not None:
            return read_metadata(stored, name)
        kept = self._kept(sha256)
        return kept.read_bytes() if used(kept) else None

    def text(self, wheel: Chosen) -> bytes:
        """Return the METADATA of one wheel, its own where it is here.

        Raises FetchError, ArtifactError.
        """
        from envlock.files import write_atomically

        known = self.known(wheel.sha256, wheel.size, wheel.file)
        if known is None:
            known = self._read(wheel)
            write_atomically(self._kept(wheel.sha256), known)
        return known

    def compare(self, wheels: Iterable[Artifact], paths: Mapping[str, Path]) -> None:
        """Raise IntegrityError for a wheel whose METADATA is not what was read before it came.

        paths: the wheels' files by sha256.  What was kept of it is forgotten, so that the next
        solve asks the wheel itself.
        """
        for wheel in wheels:
            kept = self._kept(wheel.sha256)
            if not used(kept):
                continue
            told, is_there = kept.read_bytes(), read_metadata(paths[wheel.sha256], wheel.file)
            if told == is_there or _decisive(told) == _decisive(is_there):
                continue
            with disk_errors(kept):
                kept.unlink(missing_ok=True)
            raise IntegrityError(
                f"{wheel.file}: its METADATA is not what {wheel.source} told of it, and what the "
                "lock was solved with",
                hint="an index or a mirror tells what the wheel does not say; solve again: the "
                "wheel is here now, and is asked itself",
            )

    def _size(self, wheel: Chosen) -> int:
        """Return the size in bytes of a wheel whose index does not tell it; raises FetchError."""
        from envlock.files import write_atomically

        kept = self._cache / f"{wheel.sha256}.size"
        if used(kept):
            return int(kept.read_text())
        size = self._http.size(wheel.url)
        write_atomically(kept, str(size).encode())
        return size

    def _kept(self, sha256: str) -> Path:
        return self._cache / f"{sha256}.metadata"

    def _read(self, wheel: Chosen) -> bytes:
        try:
            return self._http.read(f"{wheel.url}.metadata", limit=_LIMIT)
        except FetchError:
            pass
        try:
            return self._by_range(wheel)
        except _UNREADABLE:
            pass
        fetched = self._fetcher.one(
            [wheel.url], name=wheel.file, sha256=wheel.sha256, size=wheel.size
        )
        return read_metadata(fetched, wheel.file)

    def _by_range(self, wheel: Chosen) -> bytes:
        if wheel.url.startswith("file:"):
            raise FetchError("not over HTTP")
        from remotezip import RemoteZip, RemoteZipError

        try:
            with RemoteZip(wheel.url, session=self._http.session()) as archive:
                return _member(archive, wheel.file)
        except RemoteZipError as error:
            raise FetchError(str(error)) from None


def read_metadata(wheel: Path, name: str) -> bytes:
    """Return the METADATA in a local wheel, which errors call ``name``; raises ArtifactError."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _member(archive, name)
    except BROKEN_ZIP as error:
        raise ArtifactError(f"{name} is no wheel: {error}") from None


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    for info in archive.infolist():
        folder, _, file = info.filename.partition("/")
        if file == "METADATA" and folder.endswith(".dist-info") and info.file_size < _LIMIT:
            return archive.read(info)
    raise ArtifactError(f"{name} has no METADATA")


def _decisive(text: bytes) -> list[object]:
    """Return what of a METADATA decides a solve."""
    raw, _ = parse_email(text)
    return [
        canonicalize_name(raw.get("name", "")),
        raw.get("version"),
        raw.get("requires_python"),
        sorted(raw.get("requires_dist", [])),
        sorted(raw.get("provides_extra", [])),
    ]


def _parse(wheel: Chosen, text: bytes) -> Described:
    raw, _ = parse_email(text)
    if canonicalize_name(raw.get("name", "")) != wheel.name:
        raise ArtifactError(
            f"the metadata of {wheel.file} is of {raw.get('name')!r}",
            hint="the index serves wrong metadata; use another one",
        )
    requires = []
    for line in raw.get("requires_dist", []):
        try:
            requires.append(parse_requirement(line))
        except InvalidRequirement as error:
            raise ArtifactError(
                f"{wheel.name} {wheel.version} requires {line[:200]!r}, "
                "which PEP 508 does not know",
                details=(f"  {str(error).splitlines()[0]}",),
            ) from None
    extras = frozenset(canonicalize_name(extra) for extra in raw.get("provides_extra", []))
    return Described(chosen=wheel, requires=tuple(requires), extras=extras)
