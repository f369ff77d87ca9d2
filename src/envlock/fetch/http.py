"""HTTP by requests, with our errors and our limits (retries and logins: see ``sessions``).

Credentials never reach an error message.
"""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from envlock.errors import FetchError
from envlock.fetch.sessions import login_of, new_session
from envlock.files import read_pieces
from envlock.sizes import whole_number
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    import requests

    Pieces = Generator[bytes, None, None]

_TIMEOUT = (10, 60)  # seconds to connect, seconds between two reads
_PIECE = 64 * 1024  # what is lost at most when a connection breaks


class NotFoundError(FetchError):
    """The server answered, and it does not have the file (404, 410)."""

    status = 404


class BrokenError(FetchError):
    """The connection broke while the file came; going on from there may work."""


class NoRangesError(FetchError):
    """The server does not send the part that was asked for: it knows whole files only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A document, where it came from once redirects were followed, and its Content-Type."""

    url: str
    kind: str
    content: bytes


class Http:
    """Reads ``http``, ``https`` and ``file`` URLs; safe to share between threads.

    logins: returns URLs whose userinfo is sent to their hosts, also where an index names its files
    without it; headers: what is sent with requests for URLs that begin with a key, and not to
    where these redirect to.
    """

    def __init__(
        self,
        *,
        offline: bool = False,
        logins: Callable[[], Iterable[str]] = tuple,
        headers: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._offline = offline
        self._logins = logins
        self._headers = {} if headers is None else headers
        self._local = threading.local()

    @property
    def offline(self) -> bool:
        """Whether nothing may be asked of the network."""
        return self._offline

    def session(self) -> requests.Session:
        """Return this thread's session; raises FetchError when offline."""
        if self._offline:
            raise FetchError(
                "the network is needed, but --offline was given",
                hint="what was fetched before is in the cache: without --offline the rest follows",
            )
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = new_session(
                {origin: login for origin, login in map(login_of, self._logins()) if any(login)},
                self._headers,
            )
        return session

    def read(self, url: str, *, limit: int) -> bytes:
        """Return a small document of at most ``limit`` bytes; raises FetchError."""
        return _bounded(self.stream(url)[1], url, limit)

    def page(self, url: str, *, accept: str, limit: int) -> Page:
        """Return a document of at most ``limit`` bytes once it is unpacked; raises FetchError.

        It may come compressed.  Of a folder it is the index.html.  Raises NotFoundError where
        there is none.
        """
        if url.startswith("file://"):
            place = f"{url.rstrip('/')}/index.html" if url.endswith("/") else url
            return Page(url=url, kind="text/html", content=self.read(place, limit=limit))
        response = self._get(url, {"Accept": accept, "Accept-Encoding": "gzip"})
        return Page(
            url=response.url,
            kind=response.headers.get("Content-Type", ""),
            content=_bounded(_pieces(url, response), url, limit),
        )

    def size(self, url: str) -> int:
        """Return how many bytes a file has, as its server says; raises FetchError.

        By GET, as HEAD is refused where URLs are signed for the one method.
        """
        if url.startswith("file://"):
            path = _path_of(url)
            try:
                return path.stat().st_size
            except OSError as error:
                raise FetchError(f"cannot be read: {error.strerror}", where=redact(url)) from error
        with self._get(url, {}) as response:
            length = whole_number(response.headers.get("Content-Length", ""))
        if not length:
            raise FetchError(
                "the server does not tell the file's size, and neither does the index",
                where=redact(url),
                hint="the index must tell sizes (PEP 700), or its server send Content-Length",
            )
        return length

    def stream(self, url: str, offset: int = 0) -> tuple[int, Pieces]:
        """Return where the answer starts (0 or ``offset``) and its pieces; raises FetchError."""
        if url.startswith("file://"):
            return _stream_file(url, offset)
        response = self._get(url, {"Range": f"bytes={offset}-"} if offset else {})
        if response.status_code == 416:  # nothing lies behind the offset: begin anew
            response.close()
            offset, response = 0, self._get(url, {})
        partial = response.status_code == 206
        return (offset if partial else 0), _pieces(url, response)

    def part(self, url: str, start: int, end: int, size: int) -> Pieces:
        """Yield the bytes from ``start`` to before ``end`` of a file of ``size`` bytes.

        What the server says it sends is checked (RFC 9110, 14.4 and 15.3.7), and never more is
        yielded than was asked for.  Raises NoRangesError, FetchError, and BrokenError where the
        connection breaks, perhaps after some bytes.
        """
        response = self._get(url, {"Range": f"bytes={start}-{end - 1}"})
        with response:
            if response.status_code == 200:
                raise NoRangesError("the server sends whole files only", where=redact(url))
            found = response.headers.get("Content-Range", "")
            if response.status_code != 206 or not _is_range(found, start, end, size):
                raise NoRangesError(
                    f"bytes {start} to {end - 1} of {size} were asked for, and the server "
                    f"answered {response.status_code} {found[:80]!r}",
                    where=redact(url),
                )
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise NoRangesError("the server encodes parts of files", where=redact(url))
            left = end - start
            for piece in _pieces(url, response):
                yield piece[:left]
                left -= len(piece)
                if left < 0:
                    raise NoRangesError("more came than was asked for", where=redact(url))
            if left:
                raise BrokenError(f"{left} bytes did not come", where=redact(url), hint=_HINT)

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        import requests

        try:
            response = self.session().get(
                url,
                headers={"Accept-Encoding": "identity", **headers},
                stream=True,
                timeout=_TIMEOUT,
            )
        except requests.RequestException as error:
            raise FetchError(reason_of(error), where=redact(url), hint=_HINT) from None
        if response.status_code < 300 or response.status_code == 416:
            return response
        response.close()
        kind = NotFoundError if response.status_code in {404, 410} else FetchError
        raise kind(
            f"the server answered {response.status_code} {response.reason}",
            where=redact(url),
            hint=_HINT,
        )


_HINT = "check the network, the mirror and its credentials, then run the command again"


def _bounded(pieces: Pieces, url: str, limit: int) -> bytes:
    parts, size = [], 0
    with closing(pieces):
        for piece in pieces:
            size += len(piece)
            if size > limit:
                raise FetchError(f"more than {limit} bytes came", where=redact(url))
            parts.append(piece)
    return b"".join(parts)


def _pieces(url: str, response: requests.Response) -> Pieces:
    import requests

    try:
        with response:
            yield from response.iter_content(_PIECE)
    except requests.RequestException as error:
        raise BrokenError(reason_of(error), where=redact(url), hint=_HINT) from None


def _is_range(text: str, start: int, end: int, size: int) -> bool:
    """Tell whether a Content-Range is the wanted one: ``bytes 10-19/200``."""
    return text.strip().lower() == f"bytes {start}-{end - 1}/{size}"


def _path_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _stream_file(url: str, offset: int) -> tuple[int, Pieces]:
    path = _path_of(url)
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise NotFoundError("there is no such file", where=redact(url)) from None
    except OSError as error:
        raise FetchError(f"cannot be read: {error.strerror}", where=redact(url)) from error
    stream.seek(offset)

    def pieces() -> Pieces:
        try:
            with stream:
                yield from read_pieces(stream)
        except OSError as error:
            raise FetchError(f"cannot be read: {error.strerror}", where=redact(url)) from error

    return offset, pieces()


def reason_of(error: BaseException) -> str:
    """Return the innermost reason of a requests error, without its URL."""
    import requests
    import urllib3

    if isinstance(error, requests.exceptions.Timeout):
        return "the server did not answer in time"
    inner: BaseException = error
    while inner.args and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None)
    if isinstance(reason, BaseException):
        inner = reason
    if isinstance(inner, urllib3.exceptions.NewConnectionError | ConnectionError | OSError):
        return f"no connection: {redact(str(inner)).rpartition(': ')[2]}"
    return f"the connection failed: {redact(str(inner))}"
