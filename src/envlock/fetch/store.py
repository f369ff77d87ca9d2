"""A content-addressed store of verified artifacts that any number of processes share.

A file is under its final name only after its size and sha256 were checked and it reached
the disk; it is then read-only.  A download in progress lies in ``partial/`` under a lock,
so that two processes never fetch the same file twice, and it is resumed, not repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import TYPE_CHECKING

from envlock.errors import IntegrityError
from envlock.files import disk_errors, locked, sync
from envlock.leases import used

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Store:
    """Artifacts below ``root`` by sha256."""

    def __init__(self, root: Path) -> None:
        self._artifacts = root / "artifacts"
        self._partial = root / "partial"

    def path(self, sha256: str) -> Path:
        """Return where the artifact lies, whether it is there or not."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        return self._artifacts / sha256[:2] / sha256

    def get(self, sha256: str, size: int) -> Path | None:
        """Return the artifact's path if the store has it; it is marked as used."""
        path = self.path(sha256)
        try:
            found = path.stat().st_size
        except OSError:
            return None
        return path if found == size and used(path) else None

    @contextlib.contextmanager
    def download(self, sha256: str, size: int) -> Iterator[Download]:
        """Hold the one place where this artifact may be downloaded; raises DiskError.

        Waits for another process that is at it.
        """
        with locked(self._partial / f"{sha256}.lock"):
            yield Download(self, self._partial / f"{sha256}.part", sha256, size)

    def add(self, pieces: Iterable[bytes], sha256: str, size: int) -> Path:
        """Take bytes that are at hand; raises IntegrityError if they are not the artifact's.

        They are left unread where another process has put the artifact there meanwhile.
        """
        with self.download(sha256, size) as download:
            found = download.finished()
            if found is not None:
                return found
            download.restart()
            download.append(pieces)
            return download.commit()


class Download:
    """A file on its way into the store, held under its lock."""

    def __init__(self, store: Store, part: Path, sha256: str, size: int) -> None:
        self._store = store
        self._part = part
        self._sha256 = sha256
        self._size = size
        self.counted = 0
        """How many bytes the progress display was told of."""

    def finished(self) -> Path | None:
        """Return the artifact if another process has fetched it meanwhile, or all of it.

        One that was killed between its last byte and the file's name leaves a whole partial one.
        """
        found = self._store.get(self._sha256, self._size)
        if found is None and self.offset == self._size:
            with contextlib.suppress(IntegrityError):  # it was dropped
                return self.commit()
        return found

    @property
    def offset(self) -> int:
        """How many bytes an earlier attempt left."""
        try:
            return self._part.stat().st_size
        except OSError:
            return 0

    def restart(self) -> None:
        """Forget what an earlier attempt left."""
        with disk_errors(self._part):
            self._part.unlink(missing_ok=True)

    def append(self, pieces: Iterable[bytes]) -> None:
        """Write behind what is there; raises IntegrityError once it grows too large."""
        written = self.offset
        with disk_errors(self._part), self._part.open("ab") as out:
            for piece in pieces:
                written += len(piece)
                if written > self._size:
                    self.restart()
                    raise IntegrityError(
                        f"more than the promised {self._size} bytes came; they were dropped",
                        hint="the index or a proxy sends another file than the lock names",
                    )
                out.write(piece)

    def commit(self) -> Path:
        """Check size and sha256 and give the file its name; raises IntegrityError."""
        target = self._store.path(self._sha256)
        with disk_errors(self._part), self._part.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
        if (found, size) != (self._sha256, self._size):
            self.restart()
            raise IntegrityError(
                "what came is not the promised file; it was dropped",
                details=(
                    f"  promised: sha256 {self._sha256}, {self._size} bytes",
                    f"  received: sha256 {found}, {size} bytes",
                ),
                hint="a damaged download, or an index that serves another file under this name",
            )
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._part.chmod(0o444)
            sync(self._part)
            self._part.replace(target)
            used(target)  # it may have come long ago
            sync(target.parent)
        return target
