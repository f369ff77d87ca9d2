"""A proxy before a registry that cuts, delays, refuses and asks for logins."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from .serving import Handler, Serving

Does = Literal["status", "cut-request", "cut-response", "lose-response", "delay"]


@dataclass(slots=True)
class Fault:
    """What goes wrong with requests whose ``METHOD path`` matches, ``times`` times.

    status: answer so and ask nobody; cut-request: pass ``after`` bytes on and hang up;
    cut-response: answer so many and hang up; lose-response: pass all on and hang up; delay:
    wait ``seconds``.
    """

    match: str
    does: Does
    status: int = 500
    after: int = 0
    times: int = 1
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Proxy(Serving):
    """Passes requests on to ``upstream`` (host:port); use as a context manager.

    basic: user and password that it wants; tokens: it wants bearer tokens, which its ``/token``
    gives to ``users`` (all, where that is empty); expire: how many requests a token is good for.
    """

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    basic: tuple[str, str] | None = None
    tokens: bool = False
    users: dict[str, str] = field(default_factory=dict)
    expire: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    received: int = 0
    valid: dict[str, tuple[set[str], int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, pattern: str) -> int:
        """Return how many requests matched."""
        return sum(bool(re.search(pattern, f"{method} {path}")) for method, path in self.seen)

    def fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and re.search(fault.match, f"{method} {path}"):
                    fault.times -= 1
                    return fault
        return None


class _Handler(Handler):
    owner: Proxy

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        with self.owner.lock:
            self.owner.seen.append((self.command, self.path))
            self.owner.authorizations.append(self.headers.get("Authorization"))
        if urlsplit(self.path).path == "/token":
            self._token()
        elif self._let_in():
            self._pass_on()

    # --- who asks ---

    def _let_in(self) -> bool:
        shown = self.headers.get("Authorization", "")
        if self.owner.basic is not None:
            pair = base64.b64encode(":".join(self.owner.basic).encode()).decode()
            if shown == f"Basic {pair}":
                return True
            self._refuse(401, {"WWW-Authenticate": 'Basic realm="the registry"'})
            return False
        if not self.owner.tokens:
            return True
        with self.owner.lock:
            scopes, left = self.owner.valid.get(shown.removeprefix("Bearer "), (set(), 0))
            if left:
                self.owner.valid[shown.removeprefix("Bearer ")] = (scopes, left - 1)
        match = re.match(r"/v2/(.+?)/(?:blobs|manifests|referrers)/", self.path)
        name = match[1] if match else ""
        action = "pull" if self.command in {"GET", "HEAD"} else "push"
        if left and any(scope.startswith(f"{name}:") and action in scope for scope in scopes):
            return True
        wanted = f"repository:{name}:{'pull' if action == 'pull' else 'pull,push'}"
        realm = f'Bearer realm="http://{self.owner.address}/token",service="here",scope="{wanted}"'
        self._refuse(401, {"WWW-Authenticate": realm})
        return False

    def _token(self) -> None:
        shown = self.headers.get("Authorization", "")
        user = ""
        if shown.startswith("Basic "):
            user, _, password = base64.b64decode(shown[6:]).decode().partition(":")
            if self.owner.users.get(user) != password:
                self._refuse(401, {})
                return
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        form = parse_qs(body)
        if form:
            user = form["refresh_token"][0]
        if self.owner.users and user not in self.owner.users:
            self._refuse(401, {})
            return
        query = parse_qs(urlsplit(self.path).query)
        scopes = [
            one
            for text in (*query.get("scope", []), *form.get("scope", []))
            for one in text.split()
        ]
        token = f"token-{len(self.owner.valid)}-{user or 'nobody'}"
        known = {scope.removeprefix("repository:") for scope in scopes}
        with self.owner.lock:
            self.owner.valid[token] = (known, self.owner.expire or 1_000_000)
        self._plain(200, json.dumps({"token": token}).encode(), {})

    def _refuse(self, status: int, headers: dict[str, str]) -> None:
        body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]})
        self.close_connection = True
        self._plain(status, body.encode(), {**headers, "Connection": "close"})

    def _plain(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    # --- what goes wrong ---

    def _pass_on(self) -> None:
        fault = self.owner.fault(self.command, self.path)
        does = fault.does if fault else None
        if fault is not None and does == "delay":
            time.sleep(fault.seconds)
        if fault is not None and does == "status":
            self._plain(fault.status, fault.body, {**fault.headers, "Connection": "close"})
            self.close_connection = True
            return
        size = int(self.headers.get("Content-Length", "0"))
        most = min(size, fault.after) if fault is not None and does == "cut-request" else size
        connection = http.client.HTTPConnection(self.owner.upstream, timeout=60)
        try:
            self._forward(connection, most)
            if does == "cut-request":
                self.close_connection = True
                return
            answer = connection.getresponse()
            body = answer.read()
            if does == "lose-response":
                self.close_connection = True
                return
            self._give(answer, body, fault if does == "cut-response" else None)
        finally:
            connection.close()

    def _forward(self, connection: http.client.HTTPConnection, most: int) -> None:
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for key, value in self.headers.items():
            if key.lower() not in {"connection", "authorization"}:
                connection.putheader(key, value)
        connection.endheaders()
        while most > 0:
            piece = self.rfile.read1(min(most, 65536))
            if not piece:
                self.close_connection = True
                return
            connection.send(piece)
            most -= len(piece)
            with self.owner.lock:
                self.owner.received += len(piece)

    def _give(self, answer: http.client.HTTPResponse, body: bytes, cut: Fault | None) -> None:
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in {"connection", "date", "server", "transfer-encoding"}:
                self.send_header(key, value)
        if (
            self.command != "HEAD"
            and answer.status != 204
            and not answer.getheader("Content-Length")
        ):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[: cut.after] if cut is not None else body)
        self.close_connection |= cut is not None


Proxy.handler = _Handler
