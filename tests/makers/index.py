"""A Simple index (PEP 503, 691, 658, 700) on loopback, with faults on demand."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
import time
import zipfile
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .serving import Handler, Serving
from .wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

JSON = "application/vnd.pypi.simple.v1+json"
UPLOADED = "2025-01-01T00:00:00Z"


@dataclass(slots=True)
class Fault:
    """What goes wrong with one path.

    fail: answer ``status`` to so many requests (-1: all), then serve; retry_after: its
    Retry-After; cut: close the connection after so many bytes of the body, ``times`` times;
    content: serve these bytes instead; length: promise this Content-Length; endless: send
    bytes for ever; redirect: answer with a redirect to this; ranges: know byte ranges;
    drip: send so many bytes, then nothing until the index stops; pace: wait so many seconds after
    each piece of 64 KiB; headers: sent besides.
    """

    fail: int = 0
    status: int = 500
    retry_after: str | None = None
    cut: int | None = None
    times: int = 1
    content: bytes | None = None
    length: int | None = None
    endless: bool = False
    redirect: str | None = None
    ranges: bool = True
    drip: int | None = None
    pace: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that the index saw, and how many bytes of body it sent."""

    path: str
    headers: dict[str, str]
    status: int
    sent: int


@dataclass(slots=True)
class _File:
    path: Path
    sha256: str
    size: int
    uploaded: str | None
    metadata: bytes | None
    hashes: bool
    sizes: bool
    yanked: bool | str
    provenance: bytes | None


@dataclass(slots=True)
class Index(Serving):
    """The index; use as a context manager.

    json: whether it speaks PEP 691 besides HTML; login: user and password that it wants; token:
    or the bearer token;
    absolute: whether its pages name files by absolute URLs; folders: more folders that are
    served, by the first part of the path.
    """

    folder: Path
    json: bool = True
    login: tuple[str, str] | None = None
    token: str | None = None
    absolute: bool = False
    faults: dict[str, Fault] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    _files: dict[str, list[_File]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    dripping: threading.Event = field(default_factory=threading.Event)

    def __exit__(self, *problem: object) -> None:
        self.stopping.set()
        Serving.__exit__(self, *problem)

    @property
    def host(self) -> str:
        return self.address

    @property
    def base(self) -> str:
        return f"http://{self.host}"

    @property
    def url(self) -> str:
        return f"{self.base}/simple/"

    def url_with(self, login: str) -> str:
        """Return the index's URL with userinfo."""
        return f"http://{login}@{self.host}/simple/"

    def add(
        self,
        wheel: Path,
        *,
        uploaded: str | None = UPLOADED,
        metadata: bool | bytes = False,
        hashes: bool = True,
        sizes: bool = True,
        yanked: bool | str = False,
        digest: str | None = None,
        provenance: bytes | None = None,
    ) -> Path:
        """Offer a file; ``metadata``: also its METADATA (PEP 658), or these bytes as such;
        ``digest``: the sha256 that is told in place of its own; ``provenance``: its attestations
        (PEP 740).
        """
        data = wheel.read_bytes()
        project = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        text = _metadata_of(wheel) if metadata is True else metadata or None
        self._files.setdefault(project, []).append(
            _File(
                path=wheel,
                sha256=digest or sha256(data).hexdigest(),
                size=len(data),
                uploaded=uploaded,
                metadata=text,
                hashes=hashes,
                sizes=sizes,
                yanked=yanked,
                provenance=provenance,
            )
        )
        return wheel

    def wheel(
        self,
        name: str,
        version: str,
        requires: Sequence[str] = (),
        *,
        offer: Mapping[str, Any] | None = None,
        **wheel: Any,
    ) -> Path:
        """Make a wheel and offer it; ``offer`` goes to :meth:`add`, the rest to make_wheel."""
        made = make_wheel(self.folder / "files", name, version, requires=requires, **wheel)
        return self.add(made, **(offer or {}))

    def withdraw(self, project: str) -> None:
        """Forget all files of a project."""
        self._files.pop(project, None)

    def count(self, ending: str) -> int:
        """Return how many requests there were for paths with this ending."""
        return sum(asked.path.endswith(ending) for asked in self.asked)

    def requests(self, ending: str) -> list[Asked]:
        """Return the requests for paths with this ending."""
        return [asked for asked in self.asked if asked.path.endswith(ending)]

    # what the handler asks

    def fault(self, path: str) -> Fault:
        return next((f for ending, f in self.faults.items() if path.endswith(ending)), Fault())

    def page(self, project: str, *, as_json: bool) -> bytes | None:
        files = self._files.get(project)
        if files is None:
            return None
        return _page_json(self, project, files) if as_json else _page_html(self, files)

    def file(self, name: str) -> bytes | None:
        for file in (file for files in self._files.values() for file in files):
            if name == file.path.name:
                return file.path.read_bytes()
            if name == f"{file.path.name}.metadata":
                return file.metadata
            if name == f"{file.path.name}.provenance":
                return file.provenance
        return None

    def file_url(self, file: _File) -> str:
        place = f"/files/{file.sha256[:2]}/{file.sha256[2:4]}/{file.sha256[4:]}/{file.path.name}"
        return f"{self.base}{place}" if self.absolute else f"../..{place}"


class _Handler(Handler):
    owner: Index

    def do_GET(self) -> None:  # noqa: N802 -- the name that http.server looks for
        self._answer(with_body=True)

    def do_HEAD(self) -> None:  # noqa: N802
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        fault = self.owner.fault(path)
        if not self._let_in():
            self._plain(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="index"'})
            return
        if fault.fail:
            fault.fail -= 1
            extra = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
            self._plain(fault.status, b"not now", extra)
            return
        if fault.redirect is not None:
            self._plain(302, b"", {"Location": fault.redirect})
            return
        found = self._content(path)
        if found is None:
            self._plain(404, b"no such thing")
            return
        kind, data = found
        data = data if fault.content is None else fault.content
        self._send(kind, data, fault, with_body=with_body)

    def _let_in(self) -> bool:
        if self.owner.token is not None:
            return self.headers.get("Authorization") == f"Bearer {self.owner.token}"
        if self.owner.login is None:
            return True
        want = base64.b64encode(":".join(self.owner.login).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {want}"

    def _content(self, path: str) -> tuple[str, bytes] | None:
        first, _, rest = path.strip("/").partition("/")
        if first == "simple" and rest:
            as_json = self.owner.json and "json" in self.headers.get("Accept", "")
            page = self.owner.page(rest, as_json=as_json)
            return None if page is None else (JSON if as_json else "text/html", page)
        if first == "files":
            file = self.owner.file(path.rpartition("/")[2])
            return None if file is None else ("application/octet-stream", file)
        if first in self.owner.folders:
            root = self.owner.folders[first]
            place = root / rest
            if place.is_file() and place.resolve().is_relative_to(root.resolve()):
                return "application/octet-stream", place.read_bytes()
        return None

    def _send(self, kind: str, data: bytes, fault: Fault, *, with_body: bool) -> None:
        status, start, end = 200, 0, len(data)
        extra = dict(fault.headers)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if fault.ranges:
            extra["Accept-Ranges"] = "bytes"
        if fault.ranges and wanted and wanted.groups() != ("", ""):
            first, last = wanted.groups()
            start = int(first) if first else max(0, len(data) - int(last))
            end = min(len(data), int(last) + 1) if first and last else len(data)
            if start >= len(data):
                self._plain(416, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
            status = 206
            extra["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        body = data[start:end]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for key, value in extra.items():
            self.send_header(key, value)
        if fault.endless:
            self.send_header("Connection", "close")
        else:
            length = fault.length if fault.length is not None else len(body)
            self.send_header("Content-Length", str(length))
        self._body(body if with_body else b"", fault, status)

    def _body(self, body: bytes, fault: Fault, status: int) -> None:
        if fault.drip is not None:
            body = body[: fault.drip]
        elif self.command == "GET" and fault.cut is not None and fault.times:
            fault.times -= 1
            body = body[: fault.cut]
            self.close_connection = True
        self.close_connection |= fault.length is not None or fault.endless
        self._note(status, len(body))  # before the client can go on
        try:
            self.end_headers()
            self._write(body, fault.pace)
            while self.command == "GET" and fault.endless and not self.owner.stopping.is_set():
                self.wfile.write(b"x" * 65536)
            if self.command == "GET" and fault.drip is not None:
                self.owner.dripping.set()
                self.owner.stopping.wait()
                self.close_connection = True
        except OSError:
            self.close_connection = True

    def _write(self, body: bytes, pace: float) -> None:
        step = 65536 if pace else len(body) or 1
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            self.wfile.flush()
            time.sleep(pace)

    def _plain(self, status: int, body: bytes, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (extra or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self._note(status, len(body))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _note(self, status: int, sent: int) -> None:
        if self.command != "GET":
            return
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.owner.asked.append(Asked(urlsplit(self.path).path, headers, status, sent))


def _metadata_of(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name)


def _page_json(index: Index, project: str, files: list[_File]) -> bytes:
    entries: list[dict[str, Any]] = []
    for file in files:
        entry: dict[str, Any] = {
            "filename": file.path.name,
            "url": index.file_url(file),
            "hashes": {"sha256": file.sha256} if file.hashes else {},
            "yanked": file.yanked,
        }
        if file.sizes:
            entry["size"] = file.size
        if file.uploaded:
            entry["upload-time"] = file.uploaded
        if file.provenance is not None:
            place = f"/files/{file.path.name}.provenance"
            entry["provenance"] = f"{index.base}{place}"
        if file.metadata is not None:
            entry["core-metadata"] = {"sha256": sha256(file.metadata).hexdigest()}
        entries.append(entry)
    versions = sorted({file.path.name.split("-")[1] for file in files})
    page = {
        "meta": {"api-version": "1.1"},
        "name": project,
        "versions": versions,
        "files": entries,
    }
    return json.dumps(page).encode()


def _page_html(index: Index, files: list[_File]) -> bytes:
    links = []
    for file in files:
        url = index.file_url(file) + (f"#sha256={file.sha256}" if file.hashes else "")
        more = ' data-core-metadata="true"' if file.metadata is not None else ""
        reason = file.yanked if isinstance(file.yanked, str) else ""
        more += f' data-yanked="{html.escape(reason)}"' if file.yanked else ""
        links.append(f'<a href="{html.escape(url)}"{more}>{file.path.name}</a><br>')
    return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()


Index.handler = _Handler
