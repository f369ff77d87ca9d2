"""Layers in another compression: other manifests, the same tars."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from envlock.errors import ArtifactError, IntegrityError
from envlock.image.compression import MEDIA_TYPES, Compression, convert
from envlock.layers.unpacked import zstd_module
from envlock.pipeline import Publishing
from envlock.progress import SILENT
from envlock.validate.layout import open_layout
from envlock.validate.rootfs import prepare_rootfs

from .making import blobs, check_layout, leftovers, make_environment, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.image.layout import Staging
    from envlock.lock.model import Lock

    from ..makers.machine import Machine
    from .making import Environment

METHODS: list[Compression] = ["gzip", "zstd", "none"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return make_environment(tmp_path_factory.mktemp("artifacts"))


def manifest_of(layout: Path) -> Any:
    (descriptor,) = read_json(layout / "index.json")["manifests"]
    return read_json(layout / "blobs" / descriptor["digest"].replace(":", "/"))


def plain(method: str, data: bytes) -> bytes:
    if method == "gzip":
        decoder = zlib.decompressobj(31)
        tar = decoder.decompress(data)
        assert decoder.eof
        assert not decoder.unused_data  # one member, which is what it is for
        return tar
    module = zstd_module()
    assert module is not None
    return bytes(module.decompress(data)) if method == "zstd" else data


@pytest.mark.parametrize("method", METHODS)
def test_the_same_tars_and_the_same_image_id(
    environment: Environment, tmp_path: Path, method: Compression
) -> None:
    usual = environment.build(tmp_path / "usual", tmp_path / "cache")
    built = environment.build(tmp_path / "image", tmp_path / "cache", compression=method)
    assert check_layout(tmp_path / "image") == built.digests.manifest != usual.digests.manifest
    assert built.digests.config == usual.digests.config
    manifest = manifest_of(tmp_path / "image")
    assert {layer["mediaType"] for layer in manifest["layers"]} == {MEDIA_TYPES[method]}
    for layer, before in zip(manifest["layers"], usual.digests.layers, strict=True):
        data = (tmp_path / "image" / "blobs" / layer["digest"].replace(":", "/")).read_bytes()
        tar = plain(method, data)
        assert f"sha256:{hashlib.sha256(tar).hexdigest()}" == before.diff_id
        assert len(tar) == before.plain_size
    there = [path.stat().st_size for path in (tmp_path / "image" / "blobs" / "sha256").iterdir()]
    assert (len(there), sum(there)) == (len(manifest["layers"]) + 2, built.digests.size)
    assert leftovers(tmp_path) == []
    again = environment.build(tmp_path / "again", tmp_path / "other", compression=method)
    assert again.digests == built.digests
    assert blobs(tmp_path / "again") == blobs(tmp_path / "image")


def test_all_of_them_unpack_to_the_same_root(environment: Environment, tmp_path: Path) -> None:
    """Each read anew: by the diffID, another one's root file system would do."""
    roots = []
    for method in ("reuse", *METHODS):
        layout = tmp_path / method
        environment.build(layout, tmp_path / "cache", compression=method)
        root = prepare_rootfs(open_layout(layout), cache=tmp_path / f"in-{method}", reporter=SILENT)
        roots.append(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    assert len(roots[0]) > 50
    assert all(root == roots[0] for root in roots)


@pytest.mark.parametrize("harm", ["cut", "wrong"])
def test_a_damaged_zstd_layer_is_not_unpacked(
    environment: Environment, tmp_path: Path, harm: str
) -> None:
    layout = tmp_path / "image"
    environment.build(layout, tmp_path / "cache", compression="zstd")
    layer = manifest_of(layout)["layers"][-1]
    blob = layout / "blobs" / layer["digest"].replace(":", "/")
    data = blob.read_bytes()
    blob.write_bytes(data[:-3] if harm == "cut" else data[:20] + b"\xff" * 20 + data[40:])
    with pytest.raises((ArtifactError, IntegrityError)):
        prepare_rootfs(open_layout(layout), cache=tmp_path / "in", reporter=SILENT)


def test_a_layer_that_changed_since_it_was_made(environment: Environment, tmp_path: Path) -> None:
    built = environment.build(tmp_path / "image", tmp_path / "cache")
    layer = built.digests.layers[-1]
    folder = tmp_path / "image" / "blobs" / "sha256"
    with pytest.raises(IntegrityError, match="not what it was"):
        convert(folder, replace(layer, diff_id="sha256:" + "0" * 64), "none")
    (folder / layer.digest.removeprefix("sha256:")).write_bytes(gzip.compress(b"x")[:-9])
    with pytest.raises(IntegrityError, match="cannot be read"):
        convert(folder, layer, "none")
    assert leftovers(folder) == []


def test_what_is_recorded_is_the_image_as_it_is_built(machine: Machine) -> None:
    for option in ("--record", "--check"):
        done = machine.run("build", "one", "--compression", "zstd", option)
        assert done.returncode == 2
        assert "--compression" in done.stderr


class _Registry:
    def has(self, digest: str, size: int) -> bool:
        return True

    def take(self, place: Staging) -> None:
        raise NotImplementedError


def test_what_a_registry_has_is_left_out_unless_all_layers_are_read(
    environment: Environment,
) -> None:
    lock, registry = environment.lock, _Registry()
    compiled = environment.with_image(precompile=True).lock

    def only(lock: Lock, keep: bool = False, compression: Compression = "reuse") -> object:
        publishing = Publishing(destinations=[registry], keep=keep, compression=compression)
        return publishing.only(lock)

    assert only(lock) is registry
    assert only(lock, keep=True) is None
    assert only(compiled) is None
    assert [only(lock, compression=method) for method in METHODS] == [None] * 3
