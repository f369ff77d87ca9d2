"""Indexes of wheels that are elsewhere: in parts where that moves less, else whole."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from envlock.audit import index_wheel
from envlock.audit.obtain import Looked, Means, indexes_of
from envlock.errors import DiskError, FetchError, IntegrityError
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.store import Store
from envlock.lock.model import Artifact
from envlock.progress import SILENT
from tests.makers.fixtures import index
from tests.makers.index import Fault
from tests.trust.adversity import can_mount, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.makers.index import Index

__all__ = ["index"]

NOISE = random.Random(7).randbytes(3 * 1024 * 1024)
FILES = {
    "app/__init__.py": "from . import core\n",
    "app/native.so": NOISE,
    "app/core.py": "import absent\n",
    "app/data.bin": NOISE[: 2 * 1024 * 1024],
    "app/tests/big.py": NOISE[:200_000],
    "app.pth": "import app.start\n",
}


class Look:
    """Looks into wheels of an index with a cache of its own."""

    def __init__(self, root: Path, index: Index) -> None:
        self.root = root
        self.index = index
        self.store = Store(root / "cache")

    def __call__(self, *wheels: Path, offline: bool = False, size: int | None = None) -> Looked:
        http = Http(offline=offline)
        means = Means(
            fetcher=Fetcher(self.store, http),
            http=http,
            locate=self.urls,
            cache=self.root / "cache" / "audit",
        )
        return indexes_of([self.artifact(wheel, size) for wheel in wheels], means, SILENT)

    def urls(self, artifact: Artifact) -> Iterator[str]:
        yield f"{self.index.base}/files/{artifact.file}"

    def artifact(self, wheel: Path, size: int | None = None) -> Artifact:
        data = wheel.read_bytes()
        name, version = wheel.name.split("-")[:2]
        return Artifact(
            kind="pypi", name=name, version=version, source="pypi", file=wheel.name, path="",
            sha256=sha256(data).hexdigest(), size=size or len(data),
        )  # fmt: skip

    def sent(self) -> int:
        return sum(asked.sent for asked in self.index.requests(".whl"))


@pytest.fixture
def look(tmp_path: Path, index: Index) -> Look:
    return Look(tmp_path, index)


@pytest.fixture
def wheel(index: Index) -> Path:
    return index.wheel("app", "1.0", files=FILES, requires=["other>=1"])


def test_a_few_kilobytes_are_enough(look: Look, wheel: Path) -> None:
    looked = look(wheel)
    (remote,) = looked.indexes.values()
    local = index_wheel(wheel)
    assert dict(remote.modules) == dict(local.modules)
    assert (remote.name, remote.version, remote.requires) == ("app", "1.0", ("other>=1",))
    assert (remote.pth, local.pth) == (("app",), ("app",))
    assert (remote.verified, local.verified) == (False, True)
    assert looked.moved == look.sent() < 80_000
    assert looked.unverified == ("app",)
    assert looked.notes == ()
    assert [path.name for path in (look.root / "cache" / "audit").iterdir()] == ["index-of-parts"]


def test_what_was_read_in_parts_is_kept_apart_and_redone_from_the_file(
    look: Look, wheel: Path
) -> None:
    first = look(wheel)
    before = len(look.index.asked)
    again = look(wheel, offline=True)
    assert len(look.index.asked) == before
    assert again.keys == first.keys != {}
    assert again.unverified == ("app",)
    artifact = look.artifact(wheel)
    assert not (look.root / "cache" / "audit" / "index").exists()
    look.store.add([wheel.read_bytes()], artifact.sha256, artifact.size)
    checked = look(wheel, offline=True)
    assert checked.unverified == ()
    assert checked.keys == {artifact.sha256: artifact.sha256}
    assert not list((look.root / "cache" / "audit" / "index-of-parts").iterdir())


def test_a_small_wheel_comes_whole_and_verified(look: Look, index: Index) -> None:
    small = index.wheel("small", "1.0")
    looked = look(small)
    assert looked.unverified == ()
    assert look.store.get(look.artifact(small).sha256, small.stat().st_size)
    assert looked.moved == look.sent() == small.stat().st_size


def test_a_wheel_that_is_mostly_code_comes_whole(look: Look, index: Index) -> None:
    code = {f"code/m{n}.py": f"x = {list(NOISE[n : n + 20_000])}\n" for n in range(40)}
    looked = look(index.wheel("code", "1.0", files=code))
    assert looked.unverified == ()


def test_a_server_without_ranges(look: Look, wheel: Path) -> None:
    look.index.faults[wheel.name] = Fault(ranges=False)
    looked = look(wheel)
    assert looked.unverified == ()
    assert look.sent() < 2 * wheel.stat().st_size + 1


def test_redirects_and_servers_that_are_busy(look: Look, wheel: Path) -> None:
    moved = f"/files/elsewhere/{wheel.name}"
    look.index.faults[f"/files/{wheel.name}"] = Fault(redirect=f"{look.index.base}{moved}")
    look.index.faults[moved] = Fault(fail=2, status=503, retry_after="0")
    assert look(wheel).unverified == ("app",)


def test_connections_that_break_are_taken_up_again(look: Look, wheel: Path) -> None:
    look.index.faults[wheel.name] = Fault(cut=30_000, times=2)
    looked = look(wheel)
    assert looked.unverified == ("app",)
    assert looked.moved < 80_000
    (remote,) = looked.indexes.values()
    assert dict(remote.modules) == dict(index_wheel(wheel).modules)


def test_a_full_disk_is_told(look: Look, wheel: Path, tmp_path: Path) -> None:
    if not can_mount(tmp_path / "try"):
        pytest.skip("small disks take root")
    with small_disk(look.root / "cache", 4096), pytest.raises(DiskError, match="the disk refused"):
        look(wheel)


def test_a_file_of_another_size_is_not_believed(look: Look, wheel: Path) -> None:
    with pytest.raises(IntegrityError):
        look(wheel, size=wheel.stat().st_size - 4)


def test_an_index_that_is_down(look: Look, wheel: Path) -> None:
    look.index.faults[wheel.name] = Fault(fail=-1, status=404)
    with pytest.raises(FetchError) as caught:
        look(wheel)
    assert caught.value.exit_code == 3


def test_offline_says_what_it_could_not_look_at(look: Look, wheel: Path) -> None:
    looked = look(wheel, offline=True)
    assert (looked.indexes, looked.unread) == ({}, ("app 1.0",))
    assert look.index.asked == []


def test_no_zip_is_a_note(look: Look, index: Index, tmp_path: Path) -> None:
    bad = tmp_path / "bad-1.0-py3-none-any.whl"
    bad.write_bytes(NOISE[: 600 * 1024])
    index.add(bad)
    looked = look(bad)
    assert looked.indexes == {}
    assert "not a usable zip" in looked.notes[0]
