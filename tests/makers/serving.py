"""HTTP servers on loopback, for as long as a test needs them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self


class Handler(BaseHTTPRequestHandler):
    """Answers for a server of the kind below, which it knows as ``owner``."""

    protocol_version = "HTTP/1.1"
    owner: Any

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@dataclass(slots=True)
class Serving:
    """A server on a port of the machine's choosing; use as a context manager.

    ``handler`` answers the requests; each instance gets a class of its own, with itself as
    ``owner``.
    """

    handler: ClassVar[type[Handler]]
    _server: _Quiet | None = field(default=None, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        own = type("Handler", (self.handler,), {"owner": self})
        self._server = _Quiet(("127.0.0.1", 0), own)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Host and port."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.server_address[1]}"


class _Quiet(ThreadingHTTPServer):
    """Says nothing where clients are cut off on purpose."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""
