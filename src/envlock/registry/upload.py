"""One blob on its way into a repository, in pieces that are resumed, not repeated.

distribution-spec 1.1, "Pushing a blob in chunks": a session is begun (POST), filled (PATCH, each
with its range), asked where it stands after a failure (GET), and closed with the digest (PUT).
Small blobs go whole.  A registry that does not take chunks gets the blob whole, too.
"""

from __future__ import annotations

import errno
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin

from envlock.errors import IntegrityError
from envlock.files import disk_errors
from envlock.registry.errors import MissingError, RefusedError, RegistryError, TransientError
from envlock.registry.transport import ATTEMPTS, delay
from envlock.sizes import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from envlock.registry.protocol import Opener
    from envlock.registry.transport import Transport

_RANGE = re.compile(r"(?:bytes=)?0-([0-9]+)")


class BlobUpload:
    """Sends one blob; ``run`` does it.

    place: where uploads begin; told: hears of bytes sent, negative where they are sent again;
    arrived: asks whether the repository has the blob.
    """

    def __init__(
        self,
        http: Transport,
        place: str,
        scopes: tuple[str, ...],
        *,
        digest: str,
        size: int,
        opener: Opener,
        chunk: int,
        told: Callable[[int], None],
        arrived: Callable[[], bool],
    ) -> None:
        self._http = http
        self._place = place
        self._scopes = scopes
        self._digest = digest
        self._size = size
        self._opener = opener
        self._chunk = chunk
        self._told = told
        self._arrived = arrived
        self._session: str | None = None
        self._sent = 0
        self._whole = size <= chunk
        self._check = _Check(digest, size)

    def run(self) -> None:
        """Send the blob; raises RegistryError, IntegrityError, DiskError."""
        failures, best = 0, 0
        while True:
            try:
                if self._session is None:
                    self._begin()
                if self._whole:
                    self._all_at_once()
                else:
                    self._in_chunks()
            except TransientError as error:
                failures += 1
                if failures >= ATTEMPTS:
                    raise
                self._http.pause(delay(failures, error.wait))
            except (MissingError, RefusedError) as error:
                failures += 1
                if failures >= ATTEMPTS or not self._goes_on_after(error):
                    raise
            else:
                return
            if self._arrived():  # and only the answer was lost
                return
            self._ask_where_it_stands()
            if self._sent > best:
                failures, best = 0, self._sent

    def _goes_on_after(self, error: MissingError | RefusedError) -> bool:
        """Tell whether there is another way: a new session, other bytes, or no chunks."""
        if self._session is None:
            return False
        if isinstance(error, RefusedError) and error.status != 416:
            if self._whole:
                return False
            self._whole = True
        return True

    def _begin(self) -> None:
        self._account(0)
        with self._request("POST", self._place, body=b"") as answer:
            least = whole_number(answer.headers.get("OCI-Chunk-Min-Length", ""))
            if least is not None:
                self._chunk = max(self._chunk, least)
                self._whole |= self._size <= self._chunk
            self._session = self._location(answer, self._place)

    def _all_at_once(self) -> None:
        """Send everything in one request (distribution-spec, "POST then PUT")."""
        with self._opener() as stream:
            part = _Part(stream, 0, self._size, self._check, self._progress)
            headers = {"Content-Type": "application/octet-stream"}
            try:
                self._finish(headers, part if self._size else b"")
            finally:
                part.check()

    def _in_chunks(self) -> None:
        with self._opener() as stream:
            while self._sent < self._size:
                start = self._sent
                end = min(start + self._chunk, self._size)
                part = _Part(stream, start, end, self._check, self._progress)
                headers = {
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"{start}-{end - 1}",
                }
                assert self._session is not None
                try:
                    with self._request(
                        "PATCH", self._session, headers=headers, body=part
                    ) as answer:
                        self._session = self._location(answer, self._session)
                        self._account(self._reached(answer, end))
                finally:
                    part.check()
            self._check.finish()
            self._finish({}, b"")

    def _finish(self, headers: dict[str, str], body: _Part | bytes) -> None:
        assert self._session is not None
        joint = "&" if "?" in self._session else "?"
        url = f"{self._session}{joint}digest={self._digest}"
        with self._request("PUT", url, headers=headers, body=body) as answer:
            told = answer.headers.get("Docker-Content-Digest", self._digest)
        self._check.finish()
        if told != self._digest:
            raise RegistryError(
                "the registry stored another blob than it was sent",
                details=(f"  sent:   {self._digest}", f"  stored: {told}"),
            )

    def _ask_where_it_stands(self) -> None:
        """Learn how far the upload got; where nobody knows, it begins anew."""
        session, self._session = self._session, None
        if session is not None and not self._whole:
            try:
                with self._http.request("GET", session, scopes=self._scopes) as answer:
                    reached = self._reached(answer, 0)
                    if reached > 1:  # "0-0" says of an empty session what it says of one byte
                        self._account(reached)
                        self._session = self._location(answer, session)
                        return
            except (MissingError, RefusedError):
                pass
        self._account(0)

    def _reached(self, answer: requests.Response, usual: int) -> int:
        match = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
        return usual if match is None else min(int(match[1]) + 1, self._size)

    def _location(self, answer: requests.Response, before: str) -> str:
        place = answer.headers.get("Location")
        if not place:
            return before
        return urljoin(urljoin(self._http.base, before), place)

    def _request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: _Part | bytes,
    ) -> requests.Response:
        again = body.again if isinstance(body, _Part) else body
        return self._http.request(
            method, url, scopes=self._scopes, headers=headers, body=again, attempts=1
        )

    def _progress(self, amount: int) -> None:
        self._sent += amount
        self._told(amount)

    def _account(self, reached: int) -> None:
        """Say that the registry has so many bytes, whatever was thought before."""
        self._told(reached - self._sent)
        self._sent = reached


class _Check:
    """The digest of what is sent, over bytes that may be sent twice."""

    def __init__(self, digest: str, size: int) -> None:
        self._wanted = digest
        self._size = size
        self._hash = hashlib.sha256()
        self._seen = 0

    def feed(self, position: int, data: bytes) -> None:
        """Account for bytes at a position; those seen before are not counted again."""
        skip = self._seen - position
        if skip < len(data):
            fresh = data[max(skip, 0) :]
            self._hash.update(fresh)
            self._seen += len(fresh)

    def finish(self) -> None:
        """Raise IntegrityError unless all bytes were seen and are the promised ones."""
        found = f"sha256:{self._hash.hexdigest()}"
        if (found, self._seen) != (self._wanted, self._size):
            raise IntegrityError(
                "the layer on the disk is not the one that was built",
                details=(f"  built: {self._wanted}", f"  found: {found}, {self._seen} bytes"),
                hint="the disk or its file was changed: build again with --check",
            )


class _Part:
    """Bytes ``start`` to ``end`` of a stream as a request's body."""

    def __init__(
        self,
        stream: BinaryIO,
        start: int,
        end: int,
        check: _Check,
        told: Callable[[int], None],
    ) -> None:
        self._stream = stream
        self._start = start
        self._end = end
        self._check = check
        self._told = told
        self._at = start
        self._broken: OSError | None = None

    def __len__(self) -> int:
        return self._end - self._start

    def again(self) -> _Part:
        """Return to the first byte: the registry wanted another login first."""
        self._told(self._start - self._at)
        self._at = self._start
        self._stream.seek(self._start)
        return self

    def read(self, amount: int = -1) -> bytes:
        left = self._end - self._at
        try:
            data = self._stream.read(left if amount < 0 else min(amount, left))
        except OSError as error:
            self._broken = error  # or it would be taken for the connection's
            raise
        if left and amount and not data:
            self._broken = OSError(errno.EIO, "the file is shorter than it was")
            raise self._broken
        self._check.feed(self._at, data)
        self._at += len(data)
        self._told(len(data))
        return data

    def check(self) -> None:
        """Raise DiskError if the file could not be read, whatever that made of the request."""
        if self._broken is not None:
            with disk_errors(Path(str(getattr(self._stream, "name", "")))):
                raise self._broken
