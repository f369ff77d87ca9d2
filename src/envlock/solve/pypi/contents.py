"""What wheels would install, by the directories at the ends of their archives.

In order: what was read of it before, the wheel in the store, its directory by HTTP range, the
whole wheel where it is small or the server knows no ranges.  Nothing of a wheel is unpacked: a
zip's directory has each file's CRC-32 and size, and ``entry_points.txt`` names the programs.  What
came by range is the server's word, until the build has the wheel itself.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from envlock.errors import ArtifactError, DiskError, FetchError
from envlock.files import disk_errors, write_atomically
from envlock.layers.wheelplaces import Places, scripts_of
from envlock.layers.zipcontent import BROKEN_ZIP
from envlock.leases import used

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http
    from envlock.layers.scheme import Scheme
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter

_SMALL = 256 * 1024
"""Wheels up to this size in bytes are fetched whole, as the audit of their code will want them."""

_TEXT_LIMIT = 16 * 1024 * 1024
_FILES_LIMIT = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A wheel's files; marks: CRC-32 and size by name; entry_points: the text, often empty.

    whole: whether the wheel itself was read, and not what a server sent as a part of it.
    """

    dist_info: str
    marks: Mapping[str, str]
    entry_points: str = ""
    whole: bool = True


class ContentsReader:
    """Reads directories of wheels; what was read is kept in ``cache`` by the wheel's sha256."""

    def __init__(self, http: Http, fetcher: Fetcher, cache: Path) -> None:
        self._http = http
        self._fetcher = fetcher
        self._cache = cache

    def files(
        self,
        wheels: Sequence[Artifact],
        urls: Mapping[str, str],
        scheme: Scheme,
        reporter: Reporter,
    ) -> dict[str, Mapping[str, str] | None]:
        """Return what tells equal files of each wheel by path below the prefix, by its name.

        urls: where the wheels lie, by sha256.  None stands for a wheel of which nothing can be
        read here and now, or that is malformed: the build looks at the wheel itself.
        """
        label = "reading what wheels install"
        with reporter.task(label, len(wheels)) as task, ThreadPoolExecutor(8) as pool:

            def one(wheel: Artifact) -> Mapping[str, str] | None:
                found, url = None, urls[wheel.sha256]
                with suppress(ArtifactError, FetchError, *BROKEN_ZIP):
                    found = installed(self._contents(wheel, url), scheme)
                task.advance(1)
                return found

            return dict(zip((w.name for w in wheels), pool.map(one, wheels), strict=True))

    def _contents(self, wheel: Artifact, url: str) -> Contents:
        kept = self._cache / f"{wheel.sha256}.files"
        known = _load(kept)
        stored = self._fetcher.store.get(wheel.sha256, wheel.size)
        if known is not None and (known.whole or stored is None):
            return known
        found = _read(stored, whole=True) if stored is not None else self._remote(wheel, url)
        text = json.dumps(asdict(found), separators=(",", ":"))
        write_atomically(kept, zlib.compress(text.encode("utf-8", "surrogatepass"), 1))
        return found

    def _remote(self, wheel: Artifact, url: str) -> Contents:
        from envlock.audit.index.remote import PartialWheel
        from envlock.fetch.http import NoRangesError

        if wheel.size > _SMALL and url.startswith(("http://", "https://")):
            with disk_errors(self._cache), tempfile.TemporaryDirectory() as folder:
                part = PartialWheel(url, self._http, Path(folder) / "part", size=wheel.size)
                with part, suppress(NoRangesError):
                    part.fetch_end()
                    return _read(cast("IO[bytes]", part), whole=False)
        path = self._fetcher.one([url], name=wheel.file, sha256=wheel.sha256, size=wheel.size)
        return _read(path, whole=True)


def installed(contents: Contents, scheme: Scheme) -> dict[str, str]:
    """Return what tells equal files, by their paths below the prefix.

    Raises ArtifactError for a wheel that would be refused.
    """
    places, start = Places(contents.dist_info, scheme), len(scheme.prefix) + 1
    found = {
        place[start:]: mark
        for name, mark in contents.marks.items()
        if (place := places.of(name)) is not None
    }
    for script in scripts_of(contents.entry_points):
        found[f"bin/{script.name}"] = f"script:{script.module}:{script.attribute}"
    return found


def _read(wheel: Path | IO[bytes], *, whole: bool) -> Contents:
    """Return what an archive's directory says; raises ArtifactError, or what zipfile raises."""
    with zipfile.ZipFile(wheel) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        tops = {info.filename.partition("/")[0] for info in infos}
        folders = [name for name in tops if name.endswith(".dist-info")]
        if len(folders) != 1 or len(infos) > _FILES_LIMIT:
            raise ArtifactError("this is no wheel")
        points = f"{folders[0]}/entry_points.txt"
        sizes = {info.filename: info.file_size for info in infos}
        text = archive.read(points) if 0 < sizes.get(points, 0) < _TEXT_LIMIT else b""
        marks = {info.filename: f"{info.CRC:x}-{info.file_size}" for info in infos}
    return Contents(dist_info=folders[0], marks=marks, entry_points=text.decode(), whole=whole)


def _load(kept: Path) -> Contents | None:
    """Return what was read before; anything damaged counts as absent."""
    try:
        return Contents(**json.loads(zlib.decompress(kept.read_bytes()))) if used(kept) else None
    except (OSError, ValueError, TypeError, zlib.error, DiskError):
        return None
