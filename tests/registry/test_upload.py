"""Blobs into a registry, past everything that goes wrong on the way."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from envlock.errors import DiskError, IntegrityError
from envlock.registry.errors import DeniedError, RefusedError, RegistryError, TransientError

from ..makers.proxy import Fault
from .conftest import CHUNK, LARGE, SMALL, Blob, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.registry.client import HttpRepository
    from envlock.registry.protocol import Upload

    Make = Callable[[int], Blob]


UPLOADS = "/v2/team/app/blobs/uploads/"


def upload(repository: HttpRepository, blob: Blob) -> tuple[Upload, int]:
    """Upload and return what was said, and the sum of what was told of the progress."""
    told: list[int] = []
    done = repository.upload(blob.digest, len(blob.data), blob.open, told=told.append)
    assert content(repository, blob.digest) == blob.data
    return done, sum(told)


def content(repository: HttpRepository, digest: str) -> bytes:
    return b"".join(repository.blob(digest)[1])


@pytest.mark.parametrize("size", [0, 1, SMALL, CHUNK, CHUNK + 1, LARGE])
def test_what_the_registry_lacks_is_sent_once(size: int, place: Place, blob: Make) -> None:
    repository, one = place.repository(), blob(size)
    done, told = upload(repository, one)
    assert (done.way, told) == ("sent", size)
    sent = place.proxy.received
    assert sent == size
    done, told = upload(repository, one)
    assert (done.way, told) == ("there", 0)
    assert place.proxy.received == sent
    assert place.proxy.count("POST") == 1
    assert place.proxy.count("PATCH") == (-(-size // CHUNK) if size > CHUNK else 0)


def test_a_blob_of_another_repository_is_mounted(place: Place, blob: Make) -> None:
    one = blob(LARGE)
    upload(place.repository("team/other"), one)
    before = place.proxy.received
    repository = place.repository()
    done = repository.upload(one.digest, LARGE, one.open, mount_from=["team/none", "team/other"])
    assert done.way == "mounted"
    assert place.proxy.received == before
    assert content(repository, one.digest) == one.data


def test_what_cannot_be_mounted_is_sent(own: Place, blob: Make) -> None:
    assert own.registry is not None
    own.registry.mounts = False
    one = blob(SMALL)
    upload(own.repository("team/other"), one)
    done = own.repository().upload(one.digest, SMALL, one.open, mount_from=["team/other"])
    assert done.way == "sent"
    assert own.registry.repository("team/app").uploads == {}


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("request_of", ["HEAD .*blobs", "POST", "PATCH", "PUT .*digest="])
def test_a_busy_registry_is_asked_again(
    status: int, request_of: str, place: Place, blob: Make
) -> None:
    place.proxy.faults.append(
        Fault(request_of, "status", status=status, times=2, headers={"Retry-After": "7"})
    )
    done, told = upload(place.repository(), blob(LARGE))
    assert (done.way, told) == ("sent", LARGE)
    assert place.waits[:2] == [7.0, 7.0]


@pytest.mark.parametrize("told", ["soon", "\u00b2", f"Mon, 20 Nov 2023 19:12:08 +{'9' * 30}"])
def test_a_busy_registry_that_tells_no_time(told: str, place: Place, blob: Make) -> None:
    place.proxy.faults.append(Fault("PATCH", "status", status=503, headers={"Retry-After": told}))
    assert upload(place.repository(), blob(LARGE))[0].way == "sent"


def test_a_registry_that_stays_busy_is_given_up(place: Place, blob: Make) -> None:
    place.proxy.faults.append(Fault("PATCH", "status", status=503, times=-1))
    with pytest.raises(TransientError, match="503") as caught:
        upload(place.repository(), blob(LARGE))
    assert caught.value.exit_code == 3
    assert place.waits == sorted(place.waits)
    assert place.repository().has(blob(LARGE).digest) is None


@pytest.mark.parametrize("after", [0, 1, CHUNK // 2])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_connection_that_breaks_while_a_blob_is_sent(
    size: int, after: int, place: Place, blob: Make
) -> None:
    place.proxy.faults.append(Fault("PATCH|PUT .*digest=", "cut-request", after=after, times=2))
    done, told = upload(place.repository(), blob(size))
    assert (done.way, told) == ("sent", size)
    assert place.proxy.received <= size + 2 * CHUNK


def test_a_large_blob_goes_on_where_it_broke(place: Place, blob: Make) -> None:
    place.proxy.faults.append(Fault("PATCH .*", "cut-request", after=10, times=0))
    fault = Fault("PATCH", "status", status=500, times=0)
    place.proxy.faults.append(fault)

    class Breaks(io.BytesIO):
        def read(self, amount: int | None = -1) -> bytes:
            if self.tell() >= 3 * CHUNK and fault.times == 0 and not place.waits:
                fault.times = 1
            return super().read(amount)

    one = blob(LARGE)
    place.repository().upload(one.digest, LARGE, lambda: Breaks(one.data))
    assert place.waits
    assert place.proxy.received <= LARGE + CHUNK
    assert place.proxy.count("POST") == 1


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_answer_that_is_lost(size: int, place: Place, blob: Make) -> None:
    """The registry has it all, and we have not heard of it."""
    place.proxy.faults.append(Fault("PUT .*digest=", "lose-response"))
    upload(place.repository(), blob(size))
    assert place.proxy.received == size


@pytest.mark.parametrize("lost", [1, 2])
def test_a_part_whose_answer_is_lost_is_not_sent_again(lost: int, place: Place, blob: Make) -> None:
    place.proxy.faults.append(Fault("PATCH", "lose-response", times=lost))
    upload(place.repository(), blob(LARGE))
    # docker-registry loses an upload of which the last answer was lost
    again = 0 if place.registry else lost * CHUNK
    assert place.proxy.received == LARGE + again


def test_an_upload_that_the_registry_forgot_begins_anew(own: Place, blob: Make) -> None:
    assert own.registry is not None
    store = own.registry.repository("team/app")
    one, seen = blob(LARGE), list[bool]()

    class Forgets(io.BytesIO):
        def read(self, amount: int | None = -1) -> bytes:
            if self.tell() >= 2 * CHUNK and not seen:
                store.uploads.clear()
                seen.append(True)
            return super().read(amount)

    own.repository().upload(one.digest, LARGE, lambda: Forgets(one.data))
    assert seen
    assert store.blobs[one.digest] == one.data


def test_a_registry_without_chunks_gets_it_whole(own: Place, blob: Make) -> None:
    assert own.registry is not None
    own.registry.chunks = False
    done, told = upload(own.repository(), blob(LARGE))
    assert (done.way, told) == ("sent", LARGE)


def test_the_least_chunk_of_a_registry_is_kept(own: Place, blob: Make) -> None:
    """A registry may want larger chunks than ours (OCI-Chunk-Min-Length)."""
    own.proxy.faults.append(
        Fault("POST", "status", status=202,
              headers={"OCI-Chunk-Min-Length": "300000", "Location": f"{UPLOADS}x"})
    )  # fmt: skip
    assert own.registry is not None
    own.registry.repository("team/app").uploads["x"] = bytearray()
    upload(own.repository(), blob(LARGE))
    assert own.proxy.count("PATCH") == 2


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("change", ["one byte", "shorter", "empty"])
def test_a_file_that_changed_is_never_stored(
    size: int, change: str, place: Place, blob: Make
) -> None:
    one = blob(size)
    data = {
        "one byte": one.data[:-1] + bytes([one.data[-1] ^ 1]),
        "shorter": one.data[:-1],
        "empty": b"",
    }[change]
    repository = place.repository()
    with pytest.raises((IntegrityError, DiskError, RefusedError)) as caught:
        repository.upload(one.digest, size, lambda: io.BytesIO(data))
    assert repository.has(one.digest) is None
    assert caught.value.exit_code == 3


def test_a_file_that_cannot_be_read_is_the_disks_fault(place: Place, blob: Make) -> None:
    class Broken(io.BytesIO):
        name = "/somewhere/layer"

        def read(self, amount: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(DiskError, match="Input/output error") as caught:
        place.repository().upload(blob(LARGE).digest, LARGE, Broken)
    assert "/somewhere/layer" in str(caught.value)
    assert place.waits == []


def test_a_refusal_is_told_in_the_registrys_words(place: Place, blob: Make) -> None:
    body = b'{"errors": [{"code": "DENIED", "message": "quota of team exceeded"}]}'
    place.proxy.faults.append(Fault("POST", "status", status=403, body=body))
    with pytest.raises(DeniedError) as caught:
        upload(place.repository(), blob(SMALL))
    assert "DENIED: quota of team exceeded" in str(caught.value)
    assert place.waits == []


def test_a_registry_that_nobody_has_reached_is_given_up_soon(own: Place) -> None:
    """A name that is wrong is not tried for long; one that has answered before is."""
    from envlock.registry.reference import parse_reference

    digest = "sha256:" + "0" * 64
    with pytest.raises(TransientError, match="no connection"):
        own.access().repository(parse_reference("127.0.0.1:1/a")).has(digest)
    assert len(own.waits) == 1
    own.waits.clear()
    repository = own.repository()
    assert repository.has(digest) is None
    own.proxy.faults.append(Fault("HEAD", "status", status=503, times=-1))
    with pytest.raises(TransientError, match="503"):
        repository.has(digest)
    assert len(own.waits) == 5


def test_a_registry_that_is_not_there() -> None:
    from envlock.registry.open import Access
    from envlock.registry.reference import parse_reference

    access = Access()
    access.stop.set()
    with pytest.raises(RegistryError, match="stopped"):
        access.repository(parse_reference("127.0.0.1:1/a")).has("sha256:" + "0" * 64)
