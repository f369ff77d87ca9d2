"""Packages of a lock that mirrors have forgotten, over real HTTP on the loopback."""

from __future__ import annotations

import threading
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from envlock.debian_archive import Archive
from envlock.errors import FetchError, IntegrityError, UsageError
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.indexes import DebianMirrors
from envlock.fetch.store import Store
from envlock.lock.model import Artifact, DebianIndex
from envlock.progress import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b"a package" * 1000
POOL = "pool/main/a/app/app_1.0_amd64.deb"
INDEX = DebianIndex(archive="debian", suite="bookworm", date="20250520T120000Z", sha256="")


class Server(ThreadingHTTPServer):
    """Answers with ``files`` by path, else 404; remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked.append(self.path)
        data = server.files.get(self.path)
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


ARTIFACT = Artifact(
    kind="debian",
    name="app",
    version="1.0",
    source="debian",
    file="app_1.0_amd64.deb",
    path=POOL,
    sha256=sha256(DATA).hexdigest(),
    size=len(DATA),
)


def _fetch(server: Server, folder: Path, *, snapshot: bool = True) -> bytes:
    archive = Archive(
        name="debian",
        suites=("bookworm",),
        urls=(f"{server.url}/one", f"{server.url}/two"),
        keyring=b"",
    )
    template = f"{server.url}/archive/{{archive}}/{{timestamp}}/"
    http = Http()
    locator = DebianMirrors([archive], [INDEX], template if snapshot else None)
    fetcher = Fetcher(Store(folder), http, jobs=2)
    try:
        paths = fetcher.all([ARTIFACT], {"debian": locator}, SilentReporter())
        return paths[ARTIFACT.sha256].read_bytes()
    finally:
        http.session().close()


def test_mirrors_come_first(server: Server, tmp_path: Path) -> None:
    server.files[f"/two/{POOL}"] = DATA
    assert _fetch(server, tmp_path) == DATA
    assert server.asked == [f"/one/{POOL}", f"/two/{POOL}"]


@pytest.mark.parametrize("moment", ["20250520T120000Z", "20250520T180000Z", "20250521T120000Z"])
def test_what_mirrors_forgot_is_in_the_snapshot(
    server: Server, tmp_path: Path, moment: str
) -> None:
    server.files[f"/archive/debian/{moment}/{POOL}"] = DATA
    assert _fetch(server, tmp_path) == DATA
    assert server.asked[:2] == [f"/one/{POOL}", f"/two/{POOL}"]
    assert server.asked[-1] == f"/archive/debian/{moment}/{POOL}"


def test_a_mirror_with_other_bytes_is_passed_over(server: Server, tmp_path: Path) -> None:
    server.files[f"/one/{POOL}"] = DATA[:-1] + b"X"
    server.files[f"/archive/debian/20250520T120000Z/{POOL}"] = DATA
    assert _fetch(server, tmp_path) == DATA


def test_an_archive_without_a_mirror_is_named() -> None:
    security = replace(ARTIFACT, source="debian-security")
    with pytest.raises(UsageError, match="no mirror of debian-security is known") as caught:
        list(DebianMirrors([], [INDEX]).urls(security))
    assert "ENVLOCK_MIRROR_DEBIAN_SECURITY" in (caught.value.hint or "")


def test_gone_everywhere(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="gone from every place that was tried") as caught:
        _fetch(server, tmp_path)
    assert caught.value.exit_code == 3
    assert not isinstance(caught.value, IntegrityError)
    assert len(caught.value.details) == 5
    assert all("404" in line for line in caught.value.details)


def test_gone_and_no_snapshot_says_how_to_name_one(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        _fetch(server, tmp_path, snapshot=False)
    assert caught.value.exit_code == 3
    assert caught.value.hint is not None
    assert "ENVLOCK_SNAPSHOT_DEBIAN" in caught.value.hint
    assert len(server.asked) == 2


def test_other_bytes_everywhere(server: Server, tmp_path: Path) -> None:
    server.files[f"/one/{POOL}"] = DATA[:-1] + b"X"
    with pytest.raises(IntegrityError) as caught:
        _fetch(server, tmp_path, snapshot=False)
    assert caught.value.exit_code == 3
