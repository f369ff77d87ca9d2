"""Indexes by HTTP range, from a server of our own."""

from __future__ import annotations

import http.server
import re
import threading
from typing import TYPE_CHECKING

import pytest
import requests

from envlock.audit import index_wheel
from envlock.audit.index.remote import RangeStream, index_remote
from envlock.errors import FetchError
from tests.audit.making import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Server(http.server.ThreadingHTTPServer):
    data = b""
    ranges = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is no concern of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        data, total = self.server.data, len(self.server.data)
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not self.server.ranges or match is None:
            self.send_response(200)
        else:
            first, last = match[1], match[2]
            start = int(first) if first else max(0, total - int(last))
            end = min(total, int(last) + 1) if first else total
            data = data[start:end]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{total}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    files: dict[str, str | bytes] = {"app/__init__.py": "from . import core\n"}
    files["app/native.so"] = bytes(3 * 1024 * 1024)
    files["app/core.py"] = "import absent\n"
    files["app/data.bin"] = bytes(2 * 1024 * 1024)
    return make_wheel(tmp_path, "app", files)


def test_a_few_kilobytes_are_enough(server: _Server, wheel: Path) -> None:
    server.data = wheel.read_bytes()
    url = f"http://127.0.0.1:{server.server_port}/{wheel.name}"
    with requests.Session() as session:
        remote = index_remote(url, session)
        stream = RangeStream(url, session)
        stream.close()
    local = index_wheel(wheel)
    assert remote.modules == local.modules
    assert (remote.name, remote.version) == (local.name, local.version)
    assert (remote.verified, local.verified) == (False, True)


def test_only_what_is_needed_moves(server: _Server, wheel: Path) -> None:
    server.data = wheel.read_bytes()
    with requests.Session() as session:
        stream = RangeStream(f"http://127.0.0.1:{server.server_port}/", session)
        stream.prefetch([(0, 100), (200, 300), (4_000_000, 4_000_010)])
        assert stream.requests == 3
        assert stream.moved < 70_000
        assert stream.read(4) == b"PK\x03\x04"


def test_a_server_without_ranges_is_told_apart(server: _Server, wheel: Path) -> None:
    server.data, server.ranges = wheel.read_bytes(), False
    with requests.Session() as session, pytest.raises(FetchError, match="no ranges"):
        index_remote(f"http://127.0.0.1:{server.server_port}/", session)
