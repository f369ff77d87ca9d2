"""``envlock bundle``, builds from what it writes, and bundles that nobody should build from."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envlock.errors import EnvlockError
from envlock.exchange.bundle import unpack
from envlock.fetch.store import Store
from envlock.progress import SilentReporter

from ..makers.index import Index
from ..makers.machine import NOWHERE, Machine

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

SPEC = "pypi:\n  dependencies: [app]\n"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Machine]:
    """A machine with one environment, locked and built; no test changes it."""
    root = tmp_path_factory.mktemp("bundle")
    with Index(root / "index", folders={"debian": mirror}) as index:
        index.wheel("app", "1.0", files={"app/__init__.py": "", "app/data.bin": b"x" * 2_000_000})
        machine = Machine(
            root / "machine",
            {
                "ENVLOCK_MIRROR_DEBIAN": f"{index.base}/debian",
                "ENVLOCK_KEYRING_DEBIAN": str(mirror.parent / "keyring.gpg"),
            },
        )
        machine.use(index)
        machine.write_spec("one", SPEC)
        assert machine.run("solve").returncode == 0
        assert machine.run("build", "--no-validate").returncode == 0
        assert machine.run("bundle", "one", "-o", "one.tar").returncode == 0
        yield machine


@pytest.fixture(scope="module")
def bundle(locked: Machine) -> bytes:
    return (locked.project / "one.tar").read_bytes()


@pytest.fixture
def other(tmp_path: Path) -> Machine:
    """A machine that has nothing and reaches nothing."""
    machine = Machine(tmp_path / "other", {"ENVLOCK_MIRROR_DEBIAN": NOWHERE})
    shutil.rmtree(machine.project / "envs")
    return machine


def _build(machine: Machine, *more: str) -> subprocess.CompletedProcess[str]:
    return machine.run("build", "--from-bundle", "one.tar", "--no-validate", *more)


def test_the_same_image_without_a_network(locked: Machine, other: Machine, bundle: bytes) -> None:
    expected = locked.run("build", "one", "--no-validate").stdout
    (other.project / "one.tar").write_bytes(bundle)
    done = _build(other)
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected
    assert (other.project / "build" / "one" / "index.json").is_file()


def test_the_same_bytes_again(locked: Machine, bundle: bytes) -> None:
    done = locked.run("bundle", "one", "--json", "--offline")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    again = locked.project / "one.linux-64.bundle.tar"
    assert value == {
        "name": "one",
        "platform": "linux-64",
        "output": again.name,
        "sha256": hashlib.sha256(bundle).hexdigest(),
        "bytes": len(bundle),
        "artifacts": len(json.loads(locked.lock("one").read_text())["artifacts"]),
    }
    assert again.read_bytes() == bundle
    again.unlink()


def test_any_tar_unpacks_a_project(locked: Machine, other: Machine, bundle: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        assert {(one.mtime, one.uid, one.mode) for one in archive} == {(0, 0, 0o644)}
        if hasattr(tarfile, "data_filter"):  # from 3.11.4 on
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(other.project)
    done = other.run(
        "build", "one", "--offline", "--no-validate", ENVLOCK_CACHE_DIR=str(other.project)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == locked.run("build", "one", "--no-validate").stdout


def test_wrong_usage(locked: Machine) -> None:
    for arguments, said in (
        (["build", "two", "--from-bundle", "one.tar"], "the bundle is of one, not of two"),
        (["build", "--from-bundle", "one.tar", "--record"], "the bundle has its own"),
        (["build", "--from-bundle", "lost.tar"], "lost.tar: the bundle cannot be read"),
        (["bundle", "one", "-o", "one.tar.gz"], "a bundle is written as FILE.tar"),
    ):
        done = locked.run(*arguments)
        assert done.returncode == 2, arguments
        assert said in done.stderr


def test_a_damaged_artifact_gets_into_no_bundle(locked: Machine, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(locked.cache / "artifacts", cache / "artifacts")
    victim = max((p for p in cache.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[100] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    done = locked.run("bundle", "one", "-o", "bad.tar", ENVLOCK_CACHE_DIR=str(cache))
    assert done.returncode == 3
    assert "is not the file that the lock names" in done.stderr
    assert not list(locked.project.glob("*bad.tar*"))


def _rewritten(
    bundle: bytes, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]
) -> bytes:
    members: list[tuple[tarfile.TarInfo, bytes]] = []
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            assert stream is not None
            members.append((member, stream.read()))
    change(members)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member, data in members:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _flip(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    member, data = members[-1]
    members[-1] = (member, data[:-1] + bytes([data[-1] ^ 1]))


def _link(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    link = tarfile.TarInfo("envs/one.yaml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members[2] = (link, b"")


def _outside(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.append((tarfile.TarInfo("../../outside"), b"x"))


def _hand_edit(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    member, data = members[1]
    members[1] = (member, data.replace(b'"1.0"', b'"1.1"'))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_flip, "not the promised file"),
        (_link, "'envs/one.yaml' is no plain file"),
        (_outside, "'../../outside' (1 bytes) is not what its lock names"),
        (_hand_edit, "one.tar:locks/one.linux-64.lock.json"),
        (lambda members: members.pop(), "1 artifact is not in it"),
        (lambda members: members.append(members[-1]), "is in it twice"),
        (lambda members: members.pop(0), "it does not begin as one"),
        (lambda members: members.pop(1), "it has no lock"),
        (lambda members: members.insert(0, (members.pop(0)[0], b"2\n")), "of version"),
        (lambda members: setattr(members[1][0], "name", "locks/two.linux-64.lock.json"), "of one"),
    ],
)
def test_hostile_bundles(
    bundle: bytes,
    tmp_path: Path,
    change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None],
    said: str,
) -> None:
    path = tmp_path / "one.tar"
    path.write_bytes(_rewritten(bundle, change))
    with pytest.raises(EnvlockError) as caught:
        unpack(path, Store(tmp_path / "cache"), SilentReporter())
    assert said in str(caught.value)
    assert not (tmp_path.parent / "outside").exists()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.integers(0, 4000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_changed_byte_is_noticed_or_means_nothing(
    bundle: bytes, tmp_path: Path, where: int, byte: int, cut: bool
) -> None:
    data = bytearray(bundle)
    data[where] = byte
    path = tmp_path / "changed.tar"
    path.write_bytes(data[: where + 700] if cut else data)
    with contextlib.suppress(EnvlockError):
        lock = unpack(path, Store(tmp_path / "cache"), SilentReporter())
        assert {one.sha256 for one in lock.artifacts} <= {
            found.name for found in (tmp_path / "cache").rglob("*") if found.is_file()
        }
