"""Layers and indexes as other tools make them: zstd, estargz, doubles, attestations."""

from __future__ import annotations

import gzip
import json
import struct
import sys
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from envlock.base.judge import remarks
from envlock.base.obtain import Means, base_reference, obtain
from envlock.errors import ArtifactError
from envlock.fetch.store import Store
from envlock.platforms import PLATFORMS
from envlock.progress import SILENT
from envlock.registry.open import Access

from ..lock.locks import wheel
from ..makers.bases import LIBC, OCI, Base, push_index, system
from ..validate.images import link, member, tar_of
from .test_obtain import a_lock

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.base.obtain import Obtained

    from ..makers.registry import Registry

AMD = PLATFORMS["linux-64"]
ZSTD = f"{OCI}.layer.v1.tar+zstd"
GZIP = f"{OCI}.layer.v1.tar+gzip"


@pytest.fixture
def means(tmp_path: Path) -> Means:
    cache = tmp_path / "cache"
    return Means(access=Access(), store=Store(cache), cache=cache, mirrors={}, reporter=SILENT)


def get(registry: Registry, means: Means, tag: str = "v1") -> Obtained:
    return obtain(base_reference(f"{registry.address}/base:{tag}"), AMD, "3.11", means)


def in_frames(tar: bytes) -> bytes:
    """Compress as zstd:chunked does: several frames, and one that a reader skips at the end."""
    middle = len(tar) // 2
    told = b"what a reader need not know"
    skipped = struct.pack("<II", 0x184D2A50, len(told)) + told
    return zstd.compress(tar[:middle]) + zstd.compress(tar[middle:]) + skipped


def estargz(tar: bytes) -> bytes:
    """Compress as estargz does: a member a file, a table of contents, and a footer without data."""
    (info, content) = member("stargz.index.json", json.dumps({"version": 1, "entries": []}))
    whole = tar.rstrip(b"\0")
    whole += bytes(-len(whole) % 512) + tar_of((info, content))
    members = [gzip.compress(whole[at : at + 700]) for at in range(0, len(whole), 700)]
    extra = b"SG" + struct.pack("<H", 22) + b"%016xSTARGZ" % 700
    head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", len(extra)) + extra
    empty = b"\x01\0\0\xff\xff"
    return b"".join(members) + head + empty + struct.pack("<II", zlib.crc32(b""), 0)


@pytest.mark.parametrize("kind", [ZSTD, "application/vnd.docker.image.rootfs.diff.tar.zstd"])
@pytest.mark.parametrize("compress", [zstd.compress, in_frames])
def test_zstd(registry: Registry, means: Means, kind: str, compress: object) -> None:
    Base(layer_type=kind, compress=compress, docker="docker" in kind).push(registry, "base", "v1")  # type: ignore[arg-type]
    found = get(registry, means)
    (layer,) = found.base.layers
    assert (found.base.os, layer.media_type) == ("debian 12", ZSTD)
    blob = registry.repository("base").blobs[layer.digest]
    assert means.store.path(layer.sha256).read_bytes() == blob


def test_estargz(registry: Registry, means: Means) -> None:
    tar = gzip.decompress(estargz(tar_of(*system())))
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{_sha256(tar)}"]}
    Base(compress=estargz, config={"rootfs": rootfs}).push(registry, "base", "v1")
    found = get(registry, means)
    assert (found.base.os, found.base.layers[0].media_type) == ("debian 12", GZIP)


def test_a_system_of_lib64(registry: Registry, means: Means) -> None:
    layer = [
        member("usr"),
        member("usr/lib64"),
        link("lib64", "usr/lib64"),
        member("usr/lib64/libc.so.6", LIBC.format("2.34")),
        member("etc"),
        member("etc/os-release", 'NAME="Rocky Linux"\nID="rocky"\nVERSION_ID="9.4"\n'),
    ]
    Base(layers=[layer]).push(registry, "base", "v1")
    base = get(registry, means).base
    assert (base.os, base.glibc, base.python) == ("rocky 9.4", "2.34", None)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads zstd")
def test_zstd_without_a_reader_says_what_to_do(
    registry: Registry, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    Base(layer_type=ZSTD, compress=zstd.compress).push(registry, "base", "v1")
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    with pytest.raises(ArtifactError, match="the layer is compressed with zstd") as caught:
        get(registry, means)
    assert "backports.zstd" in str(caught.value.hint)


def test_a_layer_that_is_there_twice(registry: Registry, means: Means) -> None:
    note = [member("opt/note", "one")]
    gone = [member("opt/.wh.note", "")]
    Base(layers=[system(), note, gone, note]).push(registry, "base", "v1")
    found = get(registry, means)
    first, second = found.base.layers[1], found.base.layers[3]
    assert first == second
    assert len(found.base.blobs) == 4
    root = next((means.cache / "rootfs").glob("*/root"))
    assert (root / "opt/note").read_text() == "one"


def test_attestations_beside_the_image(registry: Registry, means: Means) -> None:
    digest = Base().push(registry, "base", "image")
    told = Base(layer_type="application/vnd.in-toto+json", architecture="unknown")
    attested = told.push(registry, "base", "attestation")
    push_index(registry, "base", "v1", {"unknown": attested, "amd64": digest})
    assert get(registry, means).base.manifest == digest


@pytest.mark.parametrize("order", [1, -1])
def test_an_image_for_any_processor_comes_first(
    registry: Registry, means: Means, order: int
) -> None:
    images = {"amd64/v3": Base(settings={"Env": ["V=3"]}), "amd64": Base(), "arm64/v8": Base()}
    pushed = {name: image.push(registry, "base", name) for name, image in images.items()}
    push_index(registry, "base", "v1", dict([*pushed.items()][::order]))
    assert get(registry, means).base.manifest == pushed["amd64"]
    push_index(registry, "base", "v2", {"amd64/v3": pushed["amd64/v3"]})
    assert get(registry, means, "v2").base.manifest == pushed["amd64/v3"]


def test_libraries_that_are_found_before_ours_are_told(registry: Registry, means: Means) -> None:
    layer = system(
        member("opt/cuda-12"),
        member("opt/cuda-12/lib"),
        member("opt/cuda-12/lib/libcublas.so.12", "x"),
        member("usr/lib/libcufft.so.11", "x"),
        link("usr/cuda", "/opt/cuda-12"),
    )
    paths = "LD_LIBRARY_PATH=:lib:/nowhere:/etc/passwd:/usr/cuda/lib"
    Base(layers=[layer], settings={"Env": [paths, "LD_PRELOAD=/x.so"]}).push(registry, "base", "v1")
    found = get(registry, means)
    assert found.facts.searched == {"/opt/cuda-12/lib"}
    lock = a_lock(wheel("nvidia-cublas-cu12"), wheel("nvidia-cufft-cu12"))
    lock = replace(lock, spec={**lock.spec, "image": {"base": "x"}}, base=found.base)
    told = list(remarks(found, lock))
    assert len(told) == 2
    assert "instead of what nvidia-cublas-cu12 bring" in told[0]
    assert "LD_PRELOAD" in told[1]
    env = {"LD_LIBRARY_PATH": "", "LD_PRELOAD": ""}
    quiet = replace(lock, spec={**lock.spec, "image": {"base": "x", "env": env}})
    assert list(remarks(found, quiet)) == []


def test_an_environment_in_a_volume_is_told(registry: Registry, means: Means) -> None:
    settings: dict[str, dict[str, dict[str, str]]] = {
        "Volumes": {"/opt": {}, "/opt/env/x": {}, "/data": {}, "/": {}, "/op": {}}
    }
    Base(settings=settings).push(registry, "base", "v1")
    told = list(remarks(get(registry, means), a_lock()))
    assert [line.partition(",")[0] for line in told] == [
        f"the base image has {path} as a volume" for path in ("/", "/opt", "/opt/env/x")
    ]


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()
