"""The network as the Debian solve uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http


class NetworkTransport:
    """Reads documents by HTTP and artifacts through the store."""

    def __init__(self, http: Http, fetcher: Fetcher) -> None:
        self._http = http
        self._fetcher = fetcher

    def read(self, url: str, *, limit: int) -> bytes:
        """Return a document of at most ``limit`` bytes; raises FetchError."""
        return self._http.read(url, limit=limit)

    def artifact(self, urls: Sequence[str], *, name: str, sha256: str, size: int) -> Path:
        """Return a verified file from the store or the first URL that has it."""
        return self._fetcher.one(urls, name=name, sha256=sha256, size=size)
