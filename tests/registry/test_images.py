"""Whole images: pushed, named last, attached to, pulled."""

from __future__ import annotations

import io
import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError, IntegrityError, UsageError
from envlock.fetch.store import Store
from envlock.progress import SILENT
from envlock.registry.errors import MissingError, RefusedError, RegistryError, TransientError
from envlock.registry.memory import Whereabouts
from envlock.registry.protocol import INDEX, MANIFEST, Descriptor, Document
from envlock.registry.pull import pull_blobs
from envlock.registry.push import LocalImage, Sent, index_of, push_content, push_name

from ..makers.proxy import Fault
from .conftest import LARGE, SMALL, Blob, Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[[int], Blob]


def image(*blobs: Blob, architecture: str = "amd64") -> LocalImage:
    """Return an image of these layers; its config tells the architecture."""
    config = Blob(json.dumps({"architecture": architecture, "os": "linux"}).encode())
    described = [
        Descriptor(media_type="application/vnd.oci.image.config.v1+json",
                   digest=config.digest, size=len(config.data)),
        *(
            Descriptor(media_type="application/vnd.oci.image.layer.v1.tar+gzip",
                       digest=blob.digest, size=len(blob.data))
            for blob in blobs
        ),
    ]  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described[0].plain(),
        "layers": [one.plain() for one in described[1:]],
    }
    data = {blob.digest: blob.data for blob in (config, *blobs)}
    return LocalImage(
        manifest=Document(media_type=MANIFEST, data=json.dumps(manifest).encode()),
        blobs=tuple(described),
        platform={"os": "linux", "architecture": architecture},
        opener=lambda digest: io.BytesIO(data[digest]),
    )


@dataclass
class Pusher:
    place: Place
    path: str = "team/app"
    whereabouts: Whereabouts | None = None

    def content(self, *images: LocalImage) -> Sent:
        repository = self.place.repository(self.path)
        total = Sent()
        for one in images:
            total += push_content(
                one, repository, reporter=SILENT, stop=threading.Event(),
                whereabouts=self.whereabouts,
            )  # fmt: skip
        return total

    def push(self, *images: LocalImage, tag: str = "v1") -> Sent:
        sent = self.content(*images)
        digest = push_name(images, self.place.repository(self.path), tag)
        assert self.place.repository(self.path).manifest(tag).digest == digest
        return sent


def test_an_image_is_pushed_and_named(place: Place, blob: Make) -> None:
    one = image(blob(SMALL), blob(LARGE))
    sent = Pusher(place).push(one)
    assert sent.sent == sum(one.size for one in one.blobs)
    found = place.repository().manifest("v1")
    assert found == one.manifest
    assert place.repository().manifest(found.digest) == one.manifest


def test_only_what_changed_is_sent(place: Place, blob: Make) -> None:
    Pusher(place).push(image(blob(SMALL), blob(LARGE)))
    before = place.proxy.received
    sent = Pusher(place).push(image(blob(SMALL + 1), blob(LARGE)))
    assert sent.sent == SMALL + 1
    assert place.proxy.received - before < SMALL + 3000  # the layer and manifests


def test_another_repository_of_the_registry_lends_its_layers(
    place: Place, blob: Make, tmp_path: Path
) -> None:
    address = place.proxy.address
    Pusher(place, "a/one", Whereabouts(tmp_path, address, "a/one")).push(image(blob(LARGE)))
    before = place.proxy.received
    sent = Pusher(place, "a/two", Whereabouts(tmp_path, address, "a/two")).push(image(blob(LARGE)))
    assert sent.sent == 0
    assert sent.mounted > LARGE
    assert place.proxy.received - before < 3000


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sha256:x": 1}'])
def test_a_damaged_memory_is_no_harm(text: str, tmp_path: Path) -> None:
    memory = Whereabouts(tmp_path, "r.example.com", "a")
    memory.remember(["sha256:" + "0" * 64])
    (file,) = (tmp_path / "registries").glob("*.json")
    file.write_text(text)
    assert Whereabouts(tmp_path, "r.example.com", "b").find("sha256:" + "0" * 64) == ()


def test_several_platforms_get_an_index(place: Place, blob: Make) -> None:
    both = image(blob(SMALL)), image(blob(SMALL), architecture="arm64")
    Pusher(place).push(*both)
    found = place.repository().manifest("v1")
    assert found.media_type == INDEX
    assert found == index_of(both) == index_of(both[::-1])
    entries = json.loads(found.data)["manifests"]
    assert [one["platform"]["architecture"] for one in entries] == ["amd64", "arm64"]
    with pytest.raises(UsageError, match="same platform"):
        push_name([both[0], both[0]], place.repository(), "v2")


def test_a_push_that_fails_leaves_the_tag(place: Place, blob: Make) -> None:
    old = image(blob(SMALL))
    Pusher(place).push(old)
    for pattern in ("PATCH", "PUT .*digest=", "POST", "PUT .*manifests"):
        place.proxy.faults = [Fault(pattern, "status", status=500, times=-1)]
        with pytest.raises(TransientError):
            Pusher(place).push(image(blob(SMALL + 1), blob(LARGE)))
        place.proxy.faults = []
        assert place.repository().manifest("v1") == old.manifest
    Pusher(place).push(image(blob(SMALL + 1), blob(LARGE)))


def test_a_manifest_without_its_blobs_is_refused(place: Place, blob: Make) -> None:
    with pytest.raises(RefusedError):
        push_name([image(blob(SMALL))], place.repository(), "v1")
    assert place.repository().resolve("v1") is None


def test_a_tag_that_somebody_else_took_is_told(own: Place, blob: Make) -> None:
    Pusher(own).content(image(blob(SMALL)))
    own.proxy.faults.append(
        Fault("HEAD .*manifests/v1", "status", status=200,
              headers={"Docker-Content-Digest": "sha256:" + "0" * 64})
    )  # fmt: skip
    with pytest.raises(RegistryError, match="names another image"):
        push_name([image(blob(SMALL))], own.repository(), "v1")


# --- what is about an image ---


@pytest.mark.parametrize("api", [True, False])
def test_documents_are_attached(api: bool, own: Place, blob: Make) -> None:
    """By the referrers API, or the tag that stands for it."""
    assert own.registry is not None
    own.registry.referrers = api
    check_attached(own, blob)


def test_documents_are_attached_by_a_registry_of_others(place: Place, blob: Make) -> None:
    check_attached(place, blob)


def check_attached(place: Place, blob: Make) -> None:
    one = image(blob(SMALL))
    kinds = ("application/spdx+json", "application/vnd.in-toto+json")
    about = tuple(document_about(one, kind) for kind in kinds)
    for _ in range(2):  # what is attached twice is there once
        Pusher(place).push(replace(one, about=about))
    listed = referrers_of(place, one.manifest.digest)
    assert {item["digest"]: item["artifactType"] for item in listed} == {
        document.manifest.digest: kind for document, kind in zip(about, kinds, strict=True)
    }
    assert len(listed) == len(kinds)
    assert place.repository().manifest("v1") == one.manifest


def document_about(one: LocalImage, kind: str) -> LocalImage:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": one.blobs[0].plain(),
        "layers": [one.blobs[1].plain()],
        "subject": one.manifest.descriptor().plain(),
    }
    data = json.dumps(document).encode()
    return replace(one, manifest=Document(media_type=MANIFEST, data=data))


def referrers_of(place: Place, digest: str) -> list[dict[str, str]]:
    """Return what a registry lists about a manifest, as its readers ask: the API, else the tag."""
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    base = f"http://{place.proxy.address}/v2/team/app"
    try:
        answer = ask(f"{base}/referrers/{digest}", timeout=30)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        tag = urllib.request.Request(
            f"{base}/manifests/{digest.replace(':', '-')}", headers={"Accept": INDEX}
        )
        answer = ask(tag, timeout=30)
    with answer:
        return list(json.load(answer)["manifests"])


# --- what registries send ---


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", MANIFEST),
        (b"[]", MANIFEST),
        (b"{", INDEX),
        (b"[" * 100_000, MANIFEST),
        (b"{}", "text/html"),
        (b'{"mediaType": "application/vnd.cncf.helm.config.v1+json"}', MANIFEST),
        (b'{"mediaType": "%s"}' % INDEX.encode(), MANIFEST),
        (b'{"mediaType": "%s", "manifests": [], "layers": []}' % INDEX.encode(), INDEX),
    ],
)
def test_a_manifest_that_is_none(body: bytes, kind: str, own: Place) -> None:
    own.proxy.faults.append(
        Fault("GET", "status", status=200, body=body, headers={"Content-Type": kind})
    )
    with pytest.raises(ArtifactError):
        own.repository().manifest("v1")


def test_a_manifest_that_is_another_one(own: Place) -> None:
    own.proxy.faults.append(
        Fault("GET", "status", status=200, body=b"{}", headers={"Content-Type": MANIFEST})
    )
    with pytest.raises(IntegrityError, match="another manifest"):
        own.repository().manifest("sha256:" + "0" * 64)


def test_a_manifest_that_does_not_end(own: Place) -> None:
    own.proxy.faults.append(Fault("GET", "status", status=200, body=b" " * (5 << 20)))
    with pytest.raises(RegistryError, match="4 MiB"):
        own.repository().manifest("v1")


# --- pulling ---


def pull(place: Place, store: Store, *blobs: Blob) -> list[bytes]:
    described = [Descriptor(media_type="", digest=one.digest, size=len(one.data)) for one in blobs]
    paths = pull_blobs(
        described, place.repository(), store,
        reporter=SILENT, stop=threading.Event(), pause=place.waits.append,
    )  # fmt: skip
    return [paths[one.digest].read_bytes() for one in blobs]


def test_blobs_are_pulled_once(place: Place, blob: Make, tmp_path: Path) -> None:
    Pusher(place).push(image(blob(SMALL), blob(LARGE)))
    store = Store(tmp_path)
    for _ in range(2):
        assert pull(place, store, blob(SMALL), blob(LARGE)) == [blob(SMALL).data, blob(LARGE).data]
    assert place.proxy.count("GET .*blobs") == 2


@pytest.mark.parametrize("after", [0, 1, 200_000])
def test_a_pull_goes_on_where_it_broke(
    after: int, place: Place, blob: Make, tmp_path: Path
) -> None:
    Pusher(place).push(image(blob(LARGE)))
    place.proxy.faults.append(Fault("GET .*blobs", "cut-response", after=after, times=3))
    assert pull(place, Store(tmp_path), blob(LARGE)) == [blob(LARGE).data]
    assert place.proxy.count("GET .*blobs") == 4


def test_a_blob_that_is_another_one_is_dropped(own: Place, blob: Make, tmp_path: Path) -> None:
    one = blob(SMALL)
    assert own.registry is not None
    own.registry.repository("team/app").blobs[one.digest] = one.data[:-1] + b"x"
    with pytest.raises(IntegrityError):
        pull(own, Store(tmp_path), one)
    assert not list((tmp_path / "artifacts").rglob("*"))


def test_a_blob_that_is_not_there(place: Place, blob: Make, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=blob(SMALL).digest):
        pull(place, Store(tmp_path), blob(SMALL))
