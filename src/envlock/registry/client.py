"""A repository over HTTP (OCI distribution-spec 1.1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from envlock.errors import IntegrityError
from envlock.registry import documents
from envlock.registry.errors import MissingError, RefusedError, RegistryError, TransientError
from envlock.registry.protocol import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    Descriptor,
    Document,
    Upload,
    digest_of,
)
from envlock.registry.upload import BlobUpload
from envlock.sizes import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests

    from envlock.registry.protocol import Opener, Pieces
    from envlock.registry.reference import Reference
    from envlock.registry.transport import Transport

_ACCEPT = ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST))
_MOST = 4 << 20  # bytes of a manifest; registries accept at least 4 MiB
_PIECE = 256 * 1024


class HttpRepository:
    """One repository of a registry; safe to share between threads.

    chunk: how many bytes of a large blob are sent in one request.
    """

    def __init__(
        self, reference: Reference, transport: Transport, *, chunk: int = 64 << 20
    ) -> None:
        self._path = reference.path
        self._http = transport
        self._chunk = chunk
        self.name = f"{reference.registry}/{reference.path}"
        self._pull = (f"repository:{reference.path}:pull",)
        self._push = (f"repository:{reference.path}:pull,push",)
        self._writes = False

    def for_writing(self) -> HttpRepository:
        """Ask for the right to push from the first request on; returns itself."""
        self._writes = True
        return self

    def has(self, digest: str) -> int | None:
        """Return a blob's size in bytes where the repository has it; raises RegistryError."""
        try:
            with self._ask("HEAD", f"blobs/{digest}") as answer:
                return _length(answer)
        except MissingError:
            return None

    def upload(
        self,
        digest: str,
        size: int,
        opener: Opener,
        *,
        mount_from: Sequence[str] = (),
        told: Callable[[int], None] | None = None,
    ) -> Upload:
        """Bring a blob in, unless the repository has it.

        mount_from: repositories of the same registry that may have it; told: hears of bytes
        sent.  Raises RegistryError, and IntegrityError where what ``opener`` opens has another
        digest or size.
        """
        if self.has(digest) is not None:
            return Upload(way="there", size=size)
        for other in mount_from:
            if self.mount(digest, other):
                return Upload(way="mounted", size=size)
        BlobUpload(
            self._http,
            f"/v2/{self._path}/blobs/uploads/",
            self._push,
            digest=digest,
            size=size,
            opener=opener,
            chunk=self._chunk,
            told=told or _nobody,
            arrived=lambda: self.has(digest) is not None,
        ).run()
        return Upload(way="sent", size=size)

    def blob(self, digest: str, offset: int = 0) -> tuple[int, Pieces]:
        """Return where the answer starts and its pieces; whoever reads checks the digest.

        Raises MissingError, RegistryError; the pieces raise TransientError where the connection
        breaks.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            answer = self._ask("GET", f"blobs/{digest}", headers)
        except RefusedError as error:
            if error.status != 416:
                raise
            offset, answer = 0, self._ask("GET", f"blobs/{digest}")
        start = offset if answer.status_code == 206 else 0
        return start, self._pieces(answer, digest)

    def manifest(self, reference: str) -> Document:
        """Return a manifest or index; raises MissingError, RegistryError, IntegrityError."""
        with self._ask("GET", f"manifests/{reference}", {"Accept": _ACCEPT}) as answer:
            data = b""
            for piece in self._pieces(answer, reference):
                data += piece
                if len(data) > _MOST:
                    raise RegistryError(
                        "the manifest is larger than 4 MiB", where=self._at(reference)
                    )
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if ":" in reference and digest_of(data) != reference:
            raise IntegrityError(
                "the registry sent another manifest than was asked for",
                where=self._at(reference),
                details=(f"  received: {digest_of(data)}",),
            )
        return Document(media_type=documents.media_type(data, kind), data=data)

    def put_manifest(self, document: Document, reference: str) -> None:
        """Store a manifest; a tag has it whole or stays what it was.  Raises RegistryError."""
        headers = {"Content-Type": document.media_type}
        path = f"/v2/{self._path}/manifests/{reference}"
        with self._http.request(
            "PUT", path, scopes=self._push, headers=headers, body=document.data
        ) as answer:
            told = answer.headers.get("Docker-Content-Digest", document.digest)
            subject = answer.headers.get("OCI-Subject")
        if told != document.digest:
            raise RegistryError(
                "the registry stored another manifest than it was sent",
                where=self._at(reference),
                details=(f"  sent:   {document.digest}", f"  stored: {told}"),
            )
        wanted = documents.subject_of(document.data)
        if wanted is not None and subject is None:
            self._note_in_fallback_tag(document, wanted)

    def resolve(self, tag: str) -> str | None:
        """Return the digest of a tag, None where there is none; raises RegistryError."""
        try:
            with self._ask("HEAD", f"manifests/{tag}", {"Accept": _ACCEPT}) as answer:
                told = answer.headers.get("Docker-Content-Digest")
        except MissingError:
            return None
        return told or self.manifest(tag).digest

    def _in_fallback_tag(self, digest: str) -> list[Descriptor]:
        try:
            return documents.descriptors(self.manifest(_fallback(digest)).data, "manifests")
        except MissingError:
            return []

    def _note_in_fallback_tag(self, document: Document, subject: str) -> None:
        """Name a referrer where the registry does not keep the list itself.

        distribution-spec 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema".
        """
        known = self._in_fallback_tag(subject)
        entry = documents.referrer(document)
        if entry.digest in {one.digest for one in known}:
            return
        listed = [one.plain() for one in (*known, entry)]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
        data = json.dumps(index, sort_keys=True, separators=(",", ":")).encode()
        self.put_manifest(Document(media_type=INDEX, data=data), _fallback(subject))

    def mount(self, digest: str, other: str) -> bool:
        """Take a blob over from another repository of the registry; tell whether that worked.

        Raises TransientError; a registry that refuses, or does not know how, is no error.
        """
        if other == self._path:
            return False
        try:
            answer = self._http.request(
                "POST",
                f"/v2/{self._path}/blobs/uploads/?mount={digest}&from={other}",
                scopes=(*self._push, f"repository:{other}:pull"),
                body=b"",
            )
        except TransientError:
            raise
        except RegistryError:  # then it is sent
            return False
        with answer:
            if answer.status_code == 201:
                return True
            self._cancel(answer.headers.get("Location"))
            return False

    def _cancel(self, place: str | None) -> None:
        """Give an upload up that a refused mount began; the registry would forget it anyway."""
        if not place:
            return
        try:
            self._http.request("DELETE", place, scopes=self._push, attempts=1).close()
        except RegistryError:
            return

    def _ask(
        self, method: str, path: str, headers: dict[str, str] | None = None
    ) -> requests.Response:
        return self._http.request(
            method, f"/v2/{self._path}/{path}", scopes=self._scopes(), headers=headers
        )

    def _scopes(self) -> tuple[str, ...]:
        return self._push if self._writes else self._pull

    def _pieces(self, answer: requests.Response, what: str) -> Pieces:
        import requests

        from envlock.fetch.http import reason_of

        try:
            with answer:
                yield from answer.iter_content(_PIECE)
        except requests.RequestException as error:
            raise TransientError(reason_of(error), where=self._at(what)) from None

    def _at(self, reference: str) -> str:
        return f"{self.name}{'@' if ':' in reference else ':'}{reference}"


def _length(answer: requests.Response) -> int:
    return whole_number(answer.headers.get("Content-Length", "")) or 0


def _fallback(digest: str) -> str:
    return digest.replace(":", "-")


def _nobody(_: Any) -> None:
    """Hear and forget."""
