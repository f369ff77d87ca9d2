"""Which repositories of a registry are known to have which blobs.

Only a hint: a registry mounts a blob from there or has it sent after all.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from envlock.files import locked, write_atomically
from envlock.leases import used
from envlock.registry.reference import DIGEST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST_PLACES = 3  # repositories that are remembered for a blob
_MOST_BLOBS = 20_000


class Whereabouts:
    """What one registry's repositories have, kept in the cache folder."""

    def __init__(self, cache: Path, registry: str, path: str) -> None:
        """``path`` is the repository that is pushed to."""
        name = hashlib.sha256(registry.encode()).hexdigest()[:32]
        self._file = cache / "registries" / f"{name}.json"
        self._path = path
        self._known: dict[str, list[str]] = {}
        self._version: tuple[int, int] | None = None

    def find(self, digest: str) -> tuple[str, ...]:
        """Return repositories that may have the blob, besides the one that is pushed to.

        What was noted meanwhile counts: of a base image, which comes after the first question.
        """
        if self._version is None or self._version != self._now():
            self._known = self._read()
            self._version = self._now()
        return tuple(path for path in self._known.get(digest, ()) if path != self._path)

    def remember(self, digests: Iterable[str]) -> None:
        """Note that the repository has these blobs; raises DiskError."""
        with locked(self._file.with_suffix(".lock")):
            known = self._read()
            for digest in digests:
                places = [p for p in known.pop(digest, []) if p != self._path]
                known[digest] = [self._path, *places][:_MOST_PLACES]
            newest = dict(list(known.items())[-_MOST_BLOBS:])
            write_atomically(self._file, json.dumps(newest).encode())

    def _now(self) -> tuple[int, int]:
        """Return what is another one once somebody has noted something."""
        try:
            state = self._file.stat()
        except OSError:
            return (0, 0)
        return (state.st_ino, state.st_ctime_ns)

    def _read(self) -> dict[str, list[str]]:
        used(self._file)
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {
            digest: [place for place in places if isinstance(place, str)]
            for digest, places in known.items()
            if DIGEST.fullmatch(digest) and isinstance(places, list)
        }
