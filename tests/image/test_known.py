"""Layers whose digest is known: taken over from other images, or copied without inflating."""

from __future__ import annotations

import fcntl
import json
import shutil
import zlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.image import places
from envlock.layers import pack as packing
from envlock.layers.crc import crc32_combine
from envlock.layers.gzipstream import SPLICE_LIMIT, Known
from envlock.lock.codec import dump_lock, parse_lock
from envlock.lock.model import BuiltImage, BuiltLayer

from ..layers.making import make_wheel
from .making import Environment, check_layout, environment_of, make_environment

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.layers.gzipstream import StreamDigests
    from envlock.layers.plan import LayerPlan
    from envlock.pipeline import Built


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 70_000))
def test_the_crc_of_two_pieces(one: bytes, two: bytes, zeros: int) -> None:
    two += bytes(zeros)
    joined = crc32_combine(zlib.crc32(one), zlib.crc32(two), len(two))
    assert joined == zlib.crc32(one + two)


def with_large_files(folder: Path) -> Environment:
    files = {
        "demo/large.bin": bytes(range(256)) * (SPLICE_LIMIT // 128),
        "demo/small.py": b"a = 1\n" * 50,
    }
    return environment_of(make_wheel(folder, "demo", "1.0", files), name="demo")


def inodes(layout: Path) -> dict[str, int]:
    return {blob.name: blob.stat().st_ino for blob in (layout / "blobs" / "sha256").iterdir()}


def test_another_image_of_this_machine_has_the_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = make_environment(tmp_path / "artifacts")
    first = environment.build(tmp_path / "a", tmp_path / "cache")
    monkeypatch.setattr("envlock.image.build.Packing", None)  # nothing is packed
    second = environment.build(tmp_path / "b", tmp_path / "cache")
    assert check_layout(tmp_path / "b") == first.digests.manifest == second.digests.manifest
    if not _reflinks(tmp_path):
        layers = {layer.digest.removeprefix("sha256:") for layer in first.digests.layers}
        one, two = inodes(tmp_path / "a"), inodes(tmp_path / "b")
        assert all(one[name] == two[name] for name in layers)  # no second copy
    shutil.rmtree(tmp_path / "a")
    assert check_layout(tmp_path / "b") == first.digests.manifest


def _reflinks(folder: Path) -> bool:
    (folder / "one").write_bytes(bytes(9000))
    with (folder / "one").open("rb") as source, (folder / "two").open("wb") as target:
        try:
            fcntl.ioctl(target.fileno(), places._FICLONE, source.fileno())
        except OSError:
            return False
    return True


def test_an_image_that_has_gone_is_forgotten(tmp_path: Path) -> None:
    environment = with_large_files(tmp_path)
    environment.build(tmp_path / "a", tmp_path / "cache")
    assert list(places.known_layouts(tmp_path / "cache")) == [tmp_path / "a"]
    shutil.rmtree(tmp_path / "a")
    assert list(places.known_layouts(tmp_path / "cache")) == []
    assert not any((tmp_path / "cache" / "layouts").iterdir())


def test_a_blob_of_another_size_is_not_taken(tmp_path: Path) -> None:
    environment = with_large_files(tmp_path)
    first = environment.build(tmp_path / "a", tmp_path / "cache")
    for layer in first.digests.layers:
        (tmp_path / "a" / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")).write_bytes(
            b""
        )
    environment.build(tmp_path / "b", tmp_path / "cache")
    assert check_layout(tmp_path / "b") == first.digests.manifest


def test_a_known_layer_is_copied_to_the_same_bytes(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "artifacts")
    first = environment.build(tmp_path / "a", tmp_path / "cache")
    shutil.rmtree(tmp_path / "a")
    again = environment.build(tmp_path / "a", tmp_path / "cache")
    assert check_layout(tmp_path / "a") == first.digests.manifest == again.digests.manifest


def known_of(environment: Environment, folder: Path) -> tuple[LayerPlan, StreamDigests]:
    from envlock.layers.plan import plan_layers

    (plan,) = plan_layers(environment.lock)
    folder.mkdir()
    return plan, packing.pack_wheels(plan, environment.paths, folder)


def told(digests: StreamDigests) -> Known:
    return Known(digests=digests, seen_here=True)


def with_record(environment: Environment, built: Built, **changes: Any) -> Environment:
    """Return the environment as its lock is after ``--record``."""
    layers = [replace(BuiltLayer(**asdict(layer)), **changes) for layer in built.digests.layers]
    image = BuiltImage(
        manifest=built.digests.manifest, config=built.digests.config, layers=tuple(layers)
    )
    lock = parse_lock(dump_lock(replace(environment.lock, built=image)), "lock")
    return Environment(lock, environment.paths)


def test_the_lock_tells_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = make_environment(tmp_path / "artifacts")
    first = environment.build(tmp_path / "a", tmp_path / "cache")
    recorded = with_record(environment, first)
    (tmp_path / "there").mkdir()
    again = recorded.build(tmp_path / "there" / "b", tmp_path / "there" / "cache")
    assert check_layout(tmp_path / "there" / "b") == again.digests.manifest
    assert again.digests == first.digests
    monkeypatch.setattr("envlock.image.build.Packing", None)  # nothing is packed
    monkeypatch.setattr("envlock.image.places.is_whole", None)  # and nothing is read
    recorded.build(tmp_path / "there" / "c", tmp_path / "there" / "cache")
    assert check_layout(tmp_path / "there" / "c") == first.digests.manifest


@pytest.mark.parametrize(
    "lie",
    [{"digest": f"sha256:{'0' * 64}"}, {"size": 5}, {"digest": f"sha256:{'0' * 64}", "size": 5}],
)
def test_a_lock_that_tells_wrong_digests_is_not_believed(
    lie: dict[str, Any], tmp_path: Path
) -> None:
    environment = with_large_files(tmp_path)
    first = environment.build(tmp_path / "a", tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    wrong = with_record(environment, first, **lie)
    wrong.build(tmp_path / "a", tmp_path / "cache")
    assert check_layout(tmp_path / "a") == first.digests.manifest


def test_a_wrong_plain_digest_does_not_reach_other_locks(tmp_path: Path) -> None:
    environment = with_large_files(tmp_path)
    first = environment.build(tmp_path / "a", tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    wrong = with_record(environment, first, diff_id=f"sha256:{'0' * 64}")
    wrong.build(tmp_path / "b", tmp_path / "cache")
    environment.build(tmp_path / "c", tmp_path / "cache")
    assert check_layout(tmp_path / "c") == first.digests.manifest


def test_a_file_with_the_name_of_what_the_lock_tells_is_read(tmp_path: Path) -> None:
    environment = with_large_files(tmp_path)
    first = environment.build(tmp_path / "a", tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    for layer in first.digests.layers:
        blob = tmp_path / "a" / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
        data = bytearray(blob.read_bytes())
        data[-20] ^= 1
        blob.unlink()
        blob.write_bytes(data)
    with_record(environment, first).build(tmp_path / "a", tmp_path / "cache")
    assert check_layout(tmp_path / "a") == first.digests.manifest


def test_large_files_are_not_inflated_where_the_digest_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = with_large_files(tmp_path)
    plan, known = known_of(environment, tmp_path / "blobs")
    monkeypatch.setattr("envlock.layers.gzipstream.inflate", None)
    (tmp_path / "again").mkdir()
    made = packing.pack_wheels(plan, environment.paths, tmp_path / "again", told(known))
    assert made == known
    name = known.digest.removeprefix("sha256:")
    assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "blobs" / name).read_bytes()


def test_what_was_known_wrongly_is_not_believed(tmp_path: Path) -> None:
    environment = with_large_files(tmp_path)
    plan, known = known_of(environment, tmp_path / "blobs")
    wrong = replace(known, digest=f"sha256:{'0' * 64}", diff_id=f"sha256:{'1' * 64}")
    (tmp_path / "again").mkdir()
    assert packing.pack_wheels(plan, environment.paths, tmp_path / "again", told(wrong)) == known
    assert [path.name for path in (tmp_path / "again").iterdir()] == [known.digest[7:]]


def test_a_damaged_wheel_is_found_where_its_layer_is_known(tmp_path: Path) -> None:
    from envlock.errors import IntegrityError

    environment = with_large_files(tmp_path)
    plan, known = known_of(environment, tmp_path / "blobs")
    (wheel,) = environment.paths.values()
    data = bytearray(wheel.read_bytes())
    data[2000] ^= 1
    wheel.write_bytes(data)
    (tmp_path / "again").mkdir()
    with pytest.raises(IntegrityError):
        packing.pack_wheels(plan, environment.paths, tmp_path / "again", told(known))
    assert not any((tmp_path / "again").iterdir())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"path": 5}', json.dumps({"path": "/\x00"})])
def test_damaged_notes_of_images_are_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "x.json").write_text(text)
    assert list(places.known_layouts(tmp_path)) == []
