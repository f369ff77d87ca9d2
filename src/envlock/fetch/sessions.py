"""Sessions of requests: retries, whom a machine trusts, and logins that go to their hosts only.

Retries (connections, 429 and 5xx, with back-off and Retry-After) are urllib3's, proxies,
certificates and netrc are requests'.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests
    from urllib3.util import Retry

_RETRIES = 4
_LONGEST_WAIT = 60  # seconds that a server may ask for with Retry-After

_Origin = tuple[str, str | None, int | None]
_Login = tuple[str, str]


@functools.cache
def adapter_class() -> type:
    """Return requests' adapter, trusting what the machine trusts (and REQUESTS_CA_BUNDLE)."""
    import ssl

    import truststore
    from requests.adapters import HTTPAdapter

    class SystemTrust(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **settings: Any) -> None:
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            super().init_poolmanager(*args, ssl_context=context, **settings)

        def proxy_manager_for(self, *args: Any, **settings: Any) -> Any:
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return super().proxy_manager_for(*args, ssl_context=context, **settings)

    return SystemTrust


def login_of(url: str) -> tuple[_Origin, _Login]:
    """Return whom a URL addresses (scheme, host, port), and the user and password in it."""
    import requests  # whole, before its parts: two threads would wait for each other's half

    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.scheme, parts.hostname, port), requests.utils.get_auth_from_url(url)


@functools.cache
def _retry_class() -> type[Retry]:
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    class Impatient(Retry):
        def get_retry_after(self, response: Any) -> float | None:
            try:
                seconds = super().get_retry_after(response)
            except (InvalidHeader, ValueError, OverflowError):  # it tells none
                return None
            return seconds if seconds is None else min(seconds, _LONGEST_WAIT)

    return Impatient


@functools.cache
def _session_class() -> type[requests.Session]:
    import requests

    class Discreet(requests.Session):
        shown: Mapping[str, Mapping[str, str]]

        def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
            for name in {name for headers in self.shown.values() for name in headers}:
                prepared_request.headers.pop(name, None)
            super().rebuild_auth(  # type: ignore[no-untyped-call]
                prepared_request, response
            )
            prepared_request.headers.update(_shown(prepared_request.url or "", self.shown))

    return Discreet


def _shown(url: str, headers: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """Return the headers of the longest key that a URL lies below."""
    fitting = [base for base in headers if url.startswith(f"{base.rstrip('/')}/")]
    return headers[max(fitting, key=len)] if fitting else {}


def new_session(
    logins: Mapping[_Origin, _Login], headers: Mapping[str, Mapping[str, str]]
) -> requests.Session:
    """Return a session that sends each login to its own host, and none to where that redirects.

    logins: by whom they are for, as :func:`login_of` has it; netrc's count besides.  headers: by
    the URL below which they are sent, instead of a login.
    """
    import requests
    from requests.utils import get_netrc_auth

    from envlock import __version__

    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        shown = _shown(request.url or "", headers)
        if shown:
            request.headers.update(shown)
            return request
        origin, own = login_of(request.url or "")
        login = own if any(own) else logins.get(origin) or get_netrc_auth(request.url or "")
        return requests.auth.HTTPBasicAuth(*login)(request) if login else request

    retry = _retry_class()(
        total=_RETRIES,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=("GET", "HEAD"),
        raise_on_status=False,
    )
    session: Any = _session_class()()
    session.shown = headers
    session.auth = authorize
    session.headers["User-Agent"] = f"envlock/{__version__}"
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter_class()(max_retries=retry, pool_maxsize=4))
    return session  # type: ignore[no-any-return]
