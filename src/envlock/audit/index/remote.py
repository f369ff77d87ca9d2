"""A wheel's code by HTTP range: the directory at the end, then runs of sources.

Neighbouring members are fetched together, over gaps of up to 64 KiB, so that a wheel of
hundreds of megabytes costs a few requests.  What came lies at its place in a file with holes,
which is indexed like any other wheel.  Parts cannot be checked against the wheel's sha256:
whoever indexes such a file keeps the result apart.
"""

from __future__ import annotations

import io
import time
from typing import IO, TYPE_CHECKING, cast

from envlock.audit.index.layout import installed_name
from envlock.audit.index.module import SOURCE_LIMIT
from envlock.audit.index.wheel import LocalArchive, members_of
from envlock.fetch.http import BrokenError
from envlock.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from zipfile import ZipInfo

    from envlock.fetch.http import Http

_TAIL = 64 * 1024
_GAP = 64 * 1024
_HEADER = 30 + 1024  # a local file header: fixed part and extra fields, without the name
_STUB = 16 * 1024  # a stub that is longer is fetched when it is wanted
_ATTEMPTS = 5
_PATIENCE = 0.2  # seconds before the second attempt; doubled each time
_READ_BESIDES = frozenset({"METADATA", "entry_points.txt"})

Span = tuple[int, int]


class PartialWheel(io.RawIOBase):
    """A remote wheel of ``size`` bytes of which parts lie in the file ``path``.

    moved: bytes that came over the network; requests: how many were made.  Reading what is
    not there yet fetches it.  Raises FetchError, NoRangesError, DiskError.
    """

    def __init__(self, url: str, http: Http, path: Path, *, size: int) -> None:
        super().__init__()
        self._url = url
        self._http = http
        self._size = size
        self._held: list[Span] = []
        self._place = 0
        self._advance: Callable[[int], None] = _ignore
        self.moved = 0
        self.requests = 0
        self.path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w+b")
            self._file.truncate(size)

    def plan(self) -> list[Span]:
        """Read the wheel's directory and return the spans that its index still needs.

        Raises SkippedError if it is no zip.
        """
        self.fetch_end()
        archive = LocalArchive(cast("IO[bytes]", self))
        members = [member for member in members_of(archive).values() if member.read]
        read = {member.file for member in members}
        small = {member.stub for member in members}  # which are wanted is seen when they are read
        infos = sorted(archive.infos(), key=lambda info: info.header_offset)
        behind = [*(info.header_offset for info in infos[1:]), self._size]
        spans = [
            (info.header_offset, min(following, info.header_offset + _longest(info)))
            for info, following in zip(infos, behind, strict=True)
            if info.filename in read
            or _read_besides(info.filename)
            or (info.filename in small and info.compress_size < _STUB)
            if info.file_size <= SOURCE_LIMIT
        ]
        return self._missing(self._merged(spans))

    def fetch_end(self) -> None:
        """Fetch the last bytes, in which most wheels have their directory."""
        self.fetch([(max(0, self._size - _TAIL), self._size)])

    def fetch(self, spans: Sequence[Span], advance: Callable[[int], None] | None = None) -> None:
        """Fetch what is missing of ``spans``; ``advance`` hears of bytes as they come."""
        self._advance = advance or _ignore
        for start, end in self._missing(spans):
            self._fetch(start, end)
        with disk_errors(self.path):
            self._file.flush()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._place + size)
        if end <= self._place:
            return b""
        self.fetch([(self._place, end)])
        self._file.seek(self._place)
        data = self._file.read(end - self._place)
        self._place += len(data)
        return data

    def _merged(self, spans: Sequence[Span]) -> list[Span]:
        """Join spans with small gaps between them."""
        merged: list[Span] = []
        for start, end in sorted(spans):
            last = min(end, self._size)
            if merged and start - merged[-1][1] <= _GAP:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            elif start < last:
                merged.append((start, last))
        return merged

    def _missing(self, spans: Sequence[Span]) -> list[Span]:
        """Return the parts of ``spans`` that are not held."""
        missing = []
        for start, end in spans:
            place = start
            for begin, stop in self._held:
                if stop <= place or begin >= end:
                    continue
                if begin > place:
                    missing.append((place, begin))
                place = stop
            if place < end:
                missing.append((place, end))
        return missing

    def _fetch(self, start: int, end: int) -> None:
        """Fetch one span, going on where the connection broke."""
        place = start
        for attempt in range(_ATTEMPTS):
            self.requests += 1
            try:
                for piece in self._http.part(self._url, place, end, self._size):
                    self._keep(place, piece)
                    place += len(piece)
            except BrokenError:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(_PATIENCE * 2**attempt)
            else:
                return

    def _keep(self, place: int, piece: bytes) -> None:
        with disk_errors(self.path):
            self._file.seek(place)
            self._file.write(piece)
        self.moved += len(piece)
        self._advance(len(piece))
        spans = sorted([*self._held, (place, place + len(piece))])
        self._held = [spans[0]]
        for start, end in spans[1:]:
            last = self._held[-1]
            if start <= last[1]:
                self._held[-1] = (last[0], max(last[1], end))
            else:
                self._held.append((start, end))


def _longest(info: ZipInfo) -> int:
    """Return how many bytes a member may take in the archive, its header included."""
    return _HEADER + len(info.filename.encode("utf-8", "surrogateescape")) + info.compress_size


def _read_besides(file: str) -> bool:
    """Tell whether a file that is no source belongs into an index, too."""
    folder, _, name = file.rpartition("/")
    if folder.endswith(".dist-info"):
        return name in _READ_BESIDES
    installed = installed_name(file) or ""
    return installed.endswith(".pth") and "/" not in installed


def _ignore(_: int) -> None:
    """Nobody listens."""
