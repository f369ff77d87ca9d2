"""A wheel's index by HTTP range: the directory at the end, then runs of sources.

Neighbouring members are fetched together, over gaps of up to 64 KiB, so that a wheel of
hundreds of megabytes costs a few requests.  What was read in parts cannot be checked against
the wheel's sha256: such an index says so and is not kept under it.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, cast

from envlock.audit.index.cache import decode, encode
from envlock.audit.index.module import SOURCE_LIMIT
from envlock.audit.index.wheel import LocalArchive, assemble, index_members, members_of
from envlock.errors import FetchError
from envlock.urls import redact

if TYPE_CHECKING:
    import requests

    from envlock.audit.index.layout import Member
    from envlock.audit.index.model import WheelIndex

_TAIL = 64 * 1024
_GAP = 64 * 1024
_TIMEOUT = (10, 60)
_HEADER = 30 + 1024  # a local file header: fixed part, name and extra fields


def index_remote(url: str, session: requests.Session) -> WheelIndex:
    """Index a wheel without downloading it whole; raises FetchError where ranges do not work."""
    stream = RangeStream(url, session)
    archive = LocalArchive(cast("IO[bytes]", stream))
    members = members_of(archive)
    stream.prefetch(_wanted(archive, members))
    records, notes = index_members(archive, members.values())
    kinds = {record.module: str(record.head["kind"]) for record in records}
    bare = assemble(archive, kinds, notes, verified=False)
    return decode(encode(bare, records))


def _wanted(archive: LocalArchive, members: dict[str, Member]) -> list[tuple[int, int]]:
    """Return the spans of all members that are read: sources, metadata, .pth files."""
    files = {member.file for member in members.values() if member.read}
    spans = []
    for info in archive.infos():
        name = info.filename
        extra = name.endswith(".pth") or ".dist-info/" in name
        if (name in files or extra) and info.file_size <= SOURCE_LIMIT:
            start = info.header_offset
            spans.append((start, start + _HEADER + info.compress_size))
    return spans


class RangeStream(io.RawIOBase):
    """A remote file that is read in parts; what was read stays in memory.

    moved: bytes that came over the network.
    """

    def __init__(self, url: str, session: requests.Session) -> None:
        super().__init__()
        self._url = url
        self._session = session
        self._parts: list[tuple[int, bytes]] = []
        self._place = 0
        self.moved = 0
        self.requests = 0
        self._size = 0
        tail, start = self._get(f"bytes=-{_TAIL}")
        self._parts.append((start, tail))

    def prefetch(self, spans: list[tuple[int, int]]) -> None:
        """Fetch spans, neighbours together."""
        merged: list[list[int]] = []
        for start, end in sorted(spans):
            if merged and start - merged[-1][1] <= _GAP:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        for start, end in merged:
            last = min(end, self._size)
            if self._held(start, last) is None:
                self._fetch(start, last)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._place + size)
        if end <= self._place:
            return b""
        data = self._held(self._place, end)
        if data is None:
            self._fetch(self._place, max(end, min(self._size, self._place + _GAP)))
            data = self._held(self._place, end) or b""
        self._place += len(data)
        return data

    def _held(self, start: int, end: int) -> bytes | None:
        for begin, part in self._parts:
            if begin <= start and end <= begin + len(part):
                return part[start - begin : end - begin]
        return None

    def _fetch(self, start: int, end: int) -> None:
        data, begin = self._get(f"bytes={start}-{end - 1}")
        if begin != start:
            raise FetchError("the server answered with another range", where=redact(self._url))
        self._parts.append((begin, data))

    def _get(self, asked: str) -> tuple[bytes, int]:
        import requests

        headers = {"Range": asked, "Accept-Encoding": "identity"}
        try:
            with self._session.get(
                self._url, headers=headers, timeout=_TIMEOUT, stream=True
            ) as answer:
                if answer.status_code != 206:
                    raise FetchError(
                        f"no ranges: the server answered {answer.status_code}",
                        where=redact(self._url),
                    )
                start, size = _content_range(answer.headers.get("Content-Range", ""))
                data = answer.content
        except requests.RequestException as error:
            raise FetchError(
                f"the connection failed: {type(error).__name__}", where=redact(self._url)
            ) from None
        self.moved += len(data)
        self.requests += 1
        self._size = size
        return data, start


def _content_range(text: str) -> tuple[int, int]:
    """Read ``bytes 10-19/200`` (RFC 9110, 14.4); raises FetchError."""
    unit, _, rest = text.partition(" ")
    span, _, size = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdigit() or not size.isdigit():
        raise FetchError(f"the server's Content-Range makes no sense: {text[:80]!r}")
    return int(start), int(size)
