"""A registry on loopback, in memory (OCI distribution-spec 1.1)."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from .serving import Handler, Serving

INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(slots=True)
class Store:
    """One repository's content."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)


@dataclass(slots=True)
class Registry(Serving):
    """The registry; use as a context manager.

    referrers: whether it has the API of 1.1; chunks: whether it takes blobs in chunks; mounts:
    whether it mounts.
    """

    referrers: bool = True
    chunks: bool = True
    mounts: bool = True
    repositories: dict[str, Store] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def repository(self, name: str) -> Store:
        with self.lock:
            return self.repositories.setdefault(name, Store())


class _Handler(Handler):
    owner: Registry

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # every method is answered by the path
            return self._route
        raise AttributeError(name)

    def _route(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        ways = (
            (r"/v2/(.+)/blobs/uploads/(.*)", self._upload),
            (r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})", self._blob),
            (r"/v2/(.+)/manifests/(.+)", self._manifest),
            (r"/v2/(.+)/referrers/(sha256:[0-9a-f]{64})", self._referrers),
        )
        for pattern, way in ways:
            match = re.fullmatch(pattern, parts.path)
            if match:
                way(self.owner.repository(match[1]), match[1], match[2], query)
                return
        self._body()
        self._answer(200 if parts.path == "/v2/" else 404)

    def _body(self) -> bytes:
        left = int(self.headers.get("Content-Length", "0"))
        parts = []
        while left and (piece := self.rfile.read1(min(left, 65536))):
            parts.append(piece)
            left -= len(piece)
        self.complete = not left
        return b"".join(parts)

    def _blob(self, store: Store, name: str, digest: str, _: dict[str, str]) -> None:
        data = store.blobs.get(digest)
        if data is None:
            self._error(404, "BLOB_UNKNOWN")
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and int(wanted[1]) < len(data):
            start = int(wanted[1])
            place = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._answer(206, data[start:], {"Content-Range": place})
        else:
            self._answer(416 if wanted else 200, data)

    def _upload(self, store: Store, name: str, session: str, query: dict[str, str]) -> None:
        if self.command == "POST":
            self._begin(store, name, query)
            return
        if session not in store.uploads:
            self._body()
            self._error(404, "BLOB_UPLOAD_UNKNOWN")
            return
        held = store.uploads[session]
        place = {"Location": f"/v2/{name}/blobs/uploads/{session}?_state={len(held)}"}
        if self.command == "DELETE":
            del store.uploads[session]
            self._answer(204)
        elif self.command == "GET":
            self._answer(204, b"", {**place, "Range": f"0-{max(0, len(held) - 1)}"})
        elif self.command == "PATCH":
            self._patch(held, place)
        else:
            held += self._body()
            if f"sha256:{hashlib.sha256(held).hexdigest()}" != query.get("digest"):
                del store.uploads[session]
                self._error(400, "DIGEST_INVALID")
                return
            if self.complete:
                store.blobs[query["digest"]] = bytes(store.uploads.pop(session))
                self._answer(201, b"", {"Docker-Content-Digest": query["digest"]})

    def _begin(self, store: Store, name: str, query: dict[str, str]) -> None:
        self._body()
        source = self.owner.repositories.get(query.get("from", ""))
        digest = query.get("mount", "")
        if self.owner.mounts and source is not None and digest in source.blobs:
            store.blobs[digest] = source.blobs[digest]
            self._answer(201, b"", {"Location": f"/v2/{name}/blobs/{digest}"})
            return
        session = uuid4().hex
        store.uploads[session] = bytearray()
        self._answer(202, b"", {"Location": f"/v2/{name}/blobs/uploads/{session}?_state=0"})

    def _patch(self, held: bytearray, place: dict[str, str]) -> None:
        start = self.headers.get("Content-Range", "0-").partition("-")[0]
        data = self._body()
        if not self.owner.chunks:
            self._error(405, "UNSUPPORTED")
        elif int(start) != len(held):
            self._error(416, "BLOB_UPLOAD_INVALID")
        else:
            held += data
            if self.complete:
                where = re.sub(r"_state=.*", f"_state={len(held)}", place["Location"])
                self._answer(202, b"", {"Location": where, "Range": f"0-{len(held) - 1}"})

    def _manifest(self, store: Store, name: str, reference: str, _: dict[str, str]) -> None:
        data = self._body()
        if self.command == "PUT":
            self._put_manifest(store, reference, data)
            return
        found = store.manifests.get(reference)
        if found is None:
            self._error(404, "MANIFEST_UNKNOWN")
            return
        kind, data = found
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self._answer(200, data, {"Content-Type": kind, "Docker-Content-Digest": digest})

    def _put_manifest(self, store: Store, reference: str, data: bytes) -> None:
        document = json.loads(data)
        needed = [document.get("config"), *document.get("layers", [])]
        missing = [one["digest"] for one in needed if one and one["digest"] not in store.blobs]
        missing += [
            one["digest"]
            for one in document.get("manifests", [])
            if one["digest"] not in store.manifests and not reference.startswith("sha256-")
        ]
        if missing:
            self._error(400, "MANIFEST_BLOB_UNKNOWN")
            return
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        kind = self.headers.get("Content-Type", "")
        store.manifests[digest] = store.manifests[reference] = (kind, data)
        extra = {"Docker-Content-Digest": digest}
        if self.owner.referrers and document.get("subject"):
            extra["OCI-Subject"] = document["subject"]["digest"]
        self._answer(201, b"", extra)

    def _referrers(self, store: Store, name: str, subject: str, _: dict[str, str]) -> None:
        if not self.owner.referrers:
            self._error(404, "NOT_FOUND")
            return
        found = []
        for digest, (kind, data) in store.manifests.items():
            document = json.loads(data)
            if (
                digest.startswith("sha256:")
                and document.get("subject", {}).get("digest") == subject
            ):
                found.append(
                    {
                        "mediaType": kind,
                        "digest": digest,
                        "size": len(data),
                        "artifactType": document.get("artifactType"),
                        "annotations": document.get("annotations", {}),
                    }
                )
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}
        self._answer(200, json.dumps(index).encode(), {"Content-Type": INDEX})

    def _error(self, status: int, code: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
        self._answer(status, body, {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes = b"", extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (extra or {}).items():
            self.send_header(key, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


Registry.handler = _Handler
