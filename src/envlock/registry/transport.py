"""Requests to one registry, with its logins, retries and limits.

Credentials are shown to the registry's own host and to the token server that it names, over
https, or over http on loopback and where the user asked for it; never to where an upload or a
blob is redirected.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import functools
import threading
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin, urlsplit

from envlock.fetch.http import reason_of
from envlock.fetch.sessions import adapter_class
from envlock.registry.auth import Authorizer
from envlock.registry.errors import (
    DeniedError,
    MissingError,
    RefusedError,
    RegistryError,
    TransientError,
)
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from envlock.registry.credentials import Logins
    from envlock.registry.reference import Reference

_TIMEOUT = (10, 120)  # seconds to connect, seconds of silence
ATTEMPTS = 6
"""How often something is tried that does not get on."""
_STRANGERS = 2
"""The same, of a registry that could not be reached yet: its name is more likely a mistake."""
_LONGEST_WAIT = 60.0
_BUSY = {408, 429, 500, 502, 503, 504}
_REDIRECTED = {301, 302, 303, 307, 308}
_SEND = 256 * 1024  # bytes given to a connection at once
_TOKEN_LIMIT = 1 << 20  # bytes of what a token server answers; usual ones have some thousand
_HINT = "check the network and the registry, then run the command again"


class Body(Protocol):
    """What is sent: a file of known length."""

    def __len__(self) -> int:
        """Return the bytes that will be read."""

    def read(self, amount: int = -1) -> bytes:
        """Return the next bytes."""


class Transport:
    """Asks one registry; safe to share between threads.

    insecure: plain http is spoken with it; pause: waits so many seconds, or raises where the
    work was stopped meanwhile.
    """

    def __init__(
        self,
        reference: Reference,
        logins: Logins,
        *,
        insecure: bool = False,
        pause: Callable[[float], None],
    ) -> None:
        plain = insecure or reference.is_loopback
        self.base = f"{'http' if plain else 'https'}://{reference.host}"
        self.registry = reference.registry
        self.pause = pause
        self._auth = Authorizer(
            reference.registry,
            lambda: logins.find(reference.registry, reference.path),
            self._ask_for_token,
            insecure=plain,
        )
        self._local = threading.local()
        self._reached = False

    def request(
        self,
        method: str,
        url: str,
        *,
        scopes: tuple[str, ...],
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Body] | bytes | None = None,
        attempts: int = ATTEMPTS,
    ) -> requests.Response:
        """Return the answer to a request below 400; its body has not been read.

        ``url`` may be relative to the registry; ``attempts``: how often it is tried.  Raises
        MissingError, DeniedError, RefusedError and, once it was tried often enough,
        TransientError.
        """
        url = urljoin(self.base, url)
        tried = 0
        while True:
            try:
                return self._once(method, url, scopes, dict(headers or {}), body)
            except TransientError as error:
                tried += 1
                if tried >= (attempts if self._reached else min(attempts, _STRANGERS)):
                    raise
                self.pause(delay(tried, error.wait))

    def _once(
        self,
        method: str,
        url: str,
        scopes: tuple[str, ...],
        headers: dict[str, str],
        body: Callable[[], Body] | bytes | None,
    ) -> requests.Response:
        """Ask once, and again where the registry first wants to know who asks."""
        ours = _origin(url) == _origin(self.base)
        shown = self._auth.header(scopes) if ours else None
        for again in (True, True, False):
            extra = {"Authorization": shown} if shown else {}
            response = self._send(method, url, {**headers, **extra}, body)
            if response.status_code != 401 or not again or not ours:
                break
            response.close()
            shown = self._auth.answer(
                response.headers.get("WWW-Authenticate", ""), scopes, refused=shown
            )
        if response.status_code < 400:
            return response
        with response:
            raise self._complaint(response, url)

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Callable[[], Body] | bytes | None,
    ) -> requests.Response:
        """Send and follow redirects of reads, to which no credential goes along."""
        data = body() if callable(body) else body
        for _ in range(6):
            response = self._exchange(
                method, url, headers=headers, data=data, stream=True, allow_redirects=False
            )
            place = response.headers.get("Location")
            if (
                response.status_code not in _REDIRECTED
                or not place
                or method not in {"GET", "HEAD"}
            ):
                return response
            response.close()
            there = urljoin(url, place)
            if urlsplit(url).scheme == "https" and urlsplit(there).scheme != "https":
                raise RegistryError("redirected from https to http", where=self._shown(url))
            if _origin(there) != _origin(url):
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            url = there
        raise RegistryError("redirected again and again", where=self._shown(url))

    def _exchange(self, method: str, url: str, **options: Any) -> requests.Response:
        import requests

        try:
            response = self._session().request(method, url, timeout=_TIMEOUT, **options)
        except requests.exceptions.SSLError as error:
            raise RegistryError(
                reason_of(error),
                where=self._shown(url),
                hint="a registry without https must be asked for with --insecure",
            ) from None
        except requests.RequestException as error:
            self._reached = self._reached or not _is_nowhere(error)
            raise TransientError(reason_of(error), where=self._shown(url), hint=_HINT) from None
        self._reached = True
        return response

    def _ask_for_token(self, method: str, url: str, options: dict[str, Any]) -> dict[str, Any]:
        response = self._exchange(method, url, allow_redirects=False, **options)
        with response:
            if response.status_code >= 300:
                raise self._complaint(response, url)
            document = _small_json(response)
        if not isinstance(document, dict):
            raise RegistryError("the token server did not send JSON", where=self._shown(url))
        return document

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _new_session()
        return session

    def _complaint(self, response: requests.Response, url: str) -> RegistryError:
        status = response.status_code
        details = [f"  {self._auth.scrub(line)}" for line in _told(response)]
        message = f"the registry answered {status} {response.reason}"
        where = self._shown(url)
        if status in _BUSY:
            busy = TransientError(message, where=where, details=details, hint=_HINT)
            busy.wait = _retry_after(response.headers.get("Retry-After"))
            return busy
        if status in {401, 403}:
            return DeniedError(
                message,
                where=where,
                details=details,
                hint=f"see who is logged in: docker login {self.registry}, "
                f"or podman login {self.registry}",
            )
        if status == 404:
            return MissingError(message, where=where, details=details)
        refused = RefusedError(message, where=where, details=details)
        refused.status = status
        return refused

    def _shown(self, url: str) -> str:
        """Return a URL without its query, which has an upload's state or a signature."""
        return redact(self._auth.scrub(url.partition("?")[0]))


def _is_nowhere(error: requests.RequestException) -> bool:
    """Tell whether no connection came about: an unknown name, or nobody listens."""
    from urllib3.exceptions import NewConnectionError

    told = error.args[0] if error.args else None
    return isinstance(getattr(told, "reason", told), NewConnectionError)


def delay(tried: int, asked: float | None) -> float:
    """Return how many seconds to wait after so many failures; ``asked`` by the registry."""
    if asked is not None:
        return min(asked, _LONGEST_WAIT)
    return min(0.25 * 2.0**tried, 15.0)


def _retry_after(text: str | None) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110, 10.2.3), None where it tells none."""
    if text is None:
        return None
    if text.isascii() and text.strip().isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    now = dt.datetime.now(dt.UTC)
    return max(0.0, (moment - now).total_seconds()) if moment.tzinfo else None


def _told(response: requests.Response) -> list[str]:
    """Return what a registry says of an error (distribution-spec, "Error Codes")."""
    try:
        raw = response.raw.read(64 * 1024, decode_content=True)
    except Exception:  # noqa: BLE001  whatever comes: the status says enough
        return []
    import json

    try:
        found = json.loads(raw)["errors"]
        pairs = [(str(one.get("code", "")), str(one.get("message", ""))) for one in found[:5]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    lines = [": ".join(part for part in pair if part) for pair in pairs]
    return ["".join(c if c.isprintable() else " " for c in line)[:300] for line in lines if line]


def _small_json(response: requests.Response) -> object:
    """Return the JSON of an answer that is not large, None where it is no such thing."""
    import json

    import requests

    text = b""
    try:
        for piece in response.iter_content(64 * 1024):
            text += piece
            if len(text) > _TOKEN_LIMIT:
                return None
        return json.loads(text)
    except (requests.RequestException, ValueError, RecursionError):
        return None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _new_session() -> requests.Session:
    import requests

    from envlock import __version__

    session = requests.Session()
    session.auth = _as_it_is  # netrc is not for registries
    session.headers.update({"User-Agent": f"envlock/{__version__}", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, _wide_adapter()(max_retries=0, pool_maxsize=4))
    return session


@functools.cache
def _wide_adapter() -> type:
    """Return the adapter that gives a connection larger pieces than urllib3's 16 KiB."""
    narrow: Any = adapter_class()

    class Wide(narrow):  # type: ignore[misc]
        def init_poolmanager(self, *args: Any, **settings: Any) -> None:
            super().init_poolmanager(*args, blocksize=_SEND, **settings)

    return Wide


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
