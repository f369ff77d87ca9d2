"""Indexes that were made of parts of a wheel, kept apart from the verified ones.

Nobody can tell whether the parts are the wheel's, so such an index never stands in for the
verified one, and caches know it by its own content instead of by the wheel's sha256.
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from envlock.audit.index.cache import decode
from envlock.audit.index.model import FORMAT
from envlock.files import write_atomically
from envlock.leases import used

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.audit.index.model import WheelIndex


class ApartCache:
    """A folder of unverified indexes by the wheel's sha256; ``folder`` None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, sha256: str) -> tuple[WheelIndex, str] | None:
        """Return an index and its key, or None; damaged entries count as missing."""
        if self._folder is None:
            return None
        used(self._path(self._folder, sha256))
        try:
            return _loaded(self._path(self._folder, sha256).read_bytes())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zlib.error):
            return None

    def has(self, sha256: str) -> bool:
        """Tell whether there is an entry, without reading it."""
        return self._folder is not None and used(self._path(self._folder, sha256))

    def key(self, sha256: str) -> str | None:
        """Return the key of an entry without decoding it, or None."""
        if self._folder is None:
            return None
        used(self._path(self._folder, sha256))
        try:
            return _key(self._path(self._folder, sha256).read_bytes())
        except OSError:
            return None

    def put(self, sha256: str, data: bytes) -> tuple[WheelIndex, str]:
        """Keep an encoded index; return it and its key.  Raises DiskError."""
        if self._folder is not None:
            write_atomically(self._path(self._folder, sha256), data)
        return _loaded(data)

    def drop(self, sha256: str) -> None:
        """Forget an index that has a verified one by now."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._path(self._folder, sha256).unlink(missing_ok=True)

    def _path(self, folder: Path, sha256: str) -> Path:
        return folder / f"{sha256}.{FORMAT}.index"


def _loaded(data: bytes) -> tuple[WheelIndex, str]:
    return replace(decode(data), verified=False), _key(data)


def _key(data: bytes) -> str:
    return f"parts-{hashlib.sha256(data).hexdigest()}"
