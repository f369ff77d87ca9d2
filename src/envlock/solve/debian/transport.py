"""The network as the Debian solve needs it; the fetching part of envlock implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Transport(Protocol):
    """Reads URLs and verified artifacts."""

    def read(self, url: str, *, limit: int) -> bytes:
        """Return what ``url`` answers, at most ``limit`` bytes.

        Raises FetchError; where the server said that there is no such file, the error has an
        attribute ``status`` of 404 or 410.
        """

    def artifact(self, urls: Sequence[str], *, name: str, sha256: str, size: int) -> Path:
        """Return the file with this sha256 from the store, or fetch it from the first URL that
        has it.  Raises FetchError.
        """


def is_missing(error: BaseException) -> bool:
    """Return whether a server said that the file does not exist."""
    return getattr(error, "status", None) in {404, 410}
