"""How a registry learns who asks: Basic, or a token that it sends us to fetch.

Follows RFC 9110, 11 (challenges) and the "Token Authentication Specification" of the
distribution project, with its OAuth 2 form for identity tokens.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from envlock.registry.errors import DeniedError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.registry.credentials import Login

    Scopes = tuple[str, ...]
    Ask = Callable[[str, str, dict[str, Any]], dict[str, Any]]
    """(method, URL, requests' options) to the JSON document that came."""

_LONGEST = 8 * 1024
"""Characters of a challenge that are looked at; usual ones have some hundred."""

_PARAMETER = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9-]*)(?=\s+[A-Za-z0-9_-]+\s*=|\s*(?:,|$))")


def challenges(header: str) -> dict[str, dict[str, str]]:
    """Return the parameters of each challenge of a ``WWW-Authenticate`` by its scheme."""
    header = header[:_LONGEST]
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', lambda quoted: f'"{"_" * (len(quoted[0]) - 2)}"', header)
    found: dict[str, dict[str, str]] = {}
    starts = list(_SCHEME.finditer(bare))
    for start, after in zip(starts, [*starts[1:], None], strict=False):
        text = header[start.end() : after.start() if after else len(header)]
        found[start[1].lower()] = {
            key.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
            for key, quoted, plain in _PARAMETER.findall(text)
        }
    return found


class Authorizer:
    """Keeps what one registry is shown, by scope; safe to share between threads."""

    def __init__(
        self, registry: str, login: Callable[[], Login | None], ask: Ask, *, insecure: bool
    ) -> None:
        """``login`` is called when the registry first wants to know; ``ask`` fetches tokens."""
        self._registry = registry
        self._find_login = login
        self._ask = ask
        self._insecure = insecure
        self._lock = threading.Lock()
        self._headers: dict[Scopes, str] = {}
        self._login: Login | None = None
        self._looked = False

    def header(self, scopes: Scopes) -> str | None:
        """Return what is shown unasked: what the registry took before."""
        return self._headers.get(scopes) or self._headers.get(())

    def answer(self, challenge: str, scopes: Scopes, refused: str | None) -> str:
        """Return the Authorization for a ``WWW-Authenticate``; ``refused`` was shown before.

        Raises DeniedError where there is nothing else to show, RegistryError.
        """
        with self._lock:
            now = self.header(scopes)
            if now is not None and now != refused:
                return now  # another thread was here
            offered = challenges(challenge)
            if "bearer" in offered:
                header = self._token(offered["bearer"], scopes)
                if header == refused:
                    raise self._denied()
                self._headers[scopes] = header
                return header
            if "basic" in offered:
                header = self._basic()
                if header == refused:
                    raise self._denied()
                self._headers[()] = header
                return header
        raise RegistryError(
            "the registry wants a login in a way that is not known here",
            where=self._registry,
            hint="known are Basic and Bearer",
        )

    def scrub(self, text: str) -> str:
        """Return text of a registry without what it was shown."""
        secrets = [header.partition(" ")[2] for header in self._headers.values()]
        if self._login is not None:
            secrets += self._login.secrets
        for secret in secrets:
            text = text.replace(secret, "****")
        return text

    def _known_login(self) -> Login | None:
        if not self._looked:
            self._login = self._find_login()
            self._looked = True
        return self._login

    def _basic(self) -> str:
        login = self._known_login()
        if login is None or not (login.user or login.password):
            raise self._denied()
        return basic(login)

    def _token(self, challenge: dict[str, str], scopes: Scopes) -> str:
        login = self._known_login()
        if login is not None and login.bearer:
            return f"Bearer {login.bearer}"
        realm = challenge.get("realm", "")
        self._check_realm(realm)
        wanted = list(dict.fromkeys([*scopes, *challenge.get("scope", "").split()]))
        service = {"service": challenge["service"]} if challenge.get("service") else {}
        if login is not None and login.identity:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": login.identity,
                "client_id": "envlock",
                "scope": " ".join(wanted),
                **service,
            }
            document = self._ask("POST", realm, {"data": form})
        else:
            headers = {"Authorization": basic(login)} if login and login.user else {}
            query = [*service.items(), *(("scope", scope) for scope in wanted)]
            document = self._ask("GET", realm, {"params": query, "headers": headers})
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise RegistryError("the token server sent no token", where=_origin(realm))
        return f"Bearer {token}"

    def _check_realm(self, realm: str) -> None:
        """Refuse a token server to which a password would go in plain sight."""
        parts = urlsplit(realm)
        allowed = {"https", "http"} if self._insecure else {"https"}
        if not parts.hostname or parts.scheme not in allowed:
            raise RegistryError(
                "the registry names a token server that is not reached by https",
                where=self._registry,
                details=(f"  {_origin(realm)}",),
            )

    def _denied(self) -> DeniedError:
        login = self._login
        who = f"as {login.user}" if login and login.user else "with the login that is there"
        return DeniedError(
            "the registry wants a login, and there is none"
            if login is None
            else f"the registry does not let us in {who}",
            where=self._registry,
            hint=f"docker login {self._registry}, or podman login {self._registry}",
        )


def basic(login: Login) -> str:
    """Return a login as HTTP's Basic scheme shows it (RFC 7617)."""
    import base64

    return f"Basic {base64.b64encode(f'{login.user}:{login.password}'.encode()).decode()}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or '?'}" if parts.scheme else "no URL"
