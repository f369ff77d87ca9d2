"""Base images as registries have them, also those that nobody should build upon."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd

from envlock.base.judge import check_user, remarks
from envlock.base.obtain import Means, base_reference, obtain
from envlock.errors import EnvlockError, FetchError
from envlock.fetch.store import Store
from envlock.lock.codec import dump_lock, parse_lock
from envlock.lock.model import Lock
from envlock.platforms import PLATFORMS
from envlock.progress import SILENT
from envlock.registry.open import Access
from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec

from ..lock.locks import wheel
from ..makers.bases import LIBC, OCI, Base, digest_of, push_index, system
from ..validate.images import hardlink, link, member

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.base.obtain import Obtained
    from envlock.lock.model import Artifact

    from ..makers.registry import Registry

AMD = PLATFORMS["linux-64"]
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
ZSTD = f"{OCI}.layer.v1.tar+zstd"


def a_lock(*artifacts: Artifact) -> Lock:
    spec = {"python": "3.11", "platform": {"name": "linux-64", "glibc": "2.36"}}
    return Lock(name="one", platform="linux-64", spec=spec, artifacts=artifacts)


@pytest.fixture
def means(tmp_path: Path) -> Means:
    return Means(
        access=Access(),
        store=Store(tmp_path / "cache"),
        cache=tmp_path / "cache",
        mirrors={},
        reporter=SILENT,
    )


def get(registry: Registry, means: Means, base: Base, python: str = "3.11") -> Obtained:
    base.push(registry, "base", "v1")
    return obtain(base_reference(f"{registry.address}/base:v1"), AMD, python, means)


def test_upper_layers_win_over_lower_ones(registry: Registry, means: Means) -> None:
    upper = [
        member("usr/lib/x86_64-linux-gnu/.wh.libc.so.6", ""),
        member("usr/lib/x86_64-linux-gnu/libc-2.31.so", LIBC.format("2.31")),
        link("usr/lib/x86_64-linux-gnu/libc.so.6", "libc-2.31.so"),
        member("usr/local"),
        member("usr/local/bin"),
        link("usr/local/bin/python3.11", "/usr/bin/python3.11"),
        member("etc/.wh..wh..opq", ""),
        member("etc/os-release", "ID='ubuntu'\nVERSION_ID=20.04\n"),
    ]
    found = get(registry, means, Base(layers=[system(), upper]))
    assert (found.base.os, found.base.glibc) == ("ubuntu 20.04", "2.31")
    assert found.base.python == "/usr/local/bin/python3.11"
    assert found.facts.users == frozenset()


def test_python_is_looked_for_on_the_images_path(registry: Registry, means: Means) -> None:
    more = [
        member("opt/py"),
        member("opt/py/bin"),
        link("opt/py/bin/python3.12", "/nowhere"),
        member("opt/py/bin/python3.13", "", mode=0o644),
        member("opt/py/bin/python3.14", "", mode=0o755),
    ]
    base = Base(layers=[system(*more)], settings={"Env": ["PATH=/opt/py/bin"]})
    found = {v: get(registry, means, base, v).base.python for v in ("3.11", "3.12", "3.13", "3.14")}
    assert found == {"3.11": None, "3.12": None, "3.13": None, "3.14": "/opt/py/bin/python3.14"}


def test_cuda_is_what_the_image_says_or_its_library(registry: Registry, means: Means) -> None:
    plain = Base(settings={"Env": ["CUDA_VERSION=12.4.1"]})
    assert get(registry, means, plain).base.cuda == "12.4"
    more = [member("usr/lib/libcudart.so.11.8.89", ""), link("usr/lib/libcudart.so", "nowhere")]
    assert get(registry, means, Base(layers=[system(*more)])).base.cuda == "11.8"
    assert get(registry, means, Base()).base.cuda is None


def test_the_lock_says_it_again(registry: Registry, means: Means) -> None:
    found = get(registry, means, Base(settings={"Env": ["CUDA_VERSION=12.4.1"]}))
    lock = a_lock(wheel("app"))
    spec = {**lock.spec, "image": {"base": found.base.reference}}
    lock = replace(lock, spec=spec, base=found.base)
    again = parse_lock(dump_lock(lock), "lock")
    assert again == lock
    for broken in (replace(lock, base=None), replace(lock, spec=a_lock().spec)):
        with pytest.raises(EnvlockError, match="whose spec names one"):
            parse_lock(dump_lock(broken), "lock")


REFUSED: list[tuple[Base, str]] = [
    (Base(layers=[system(member("opt/env"), member("opt/env/x", "y"))]), "/opt/env already"),
    (Base(layers=[[member("opt", "a file")]]), "no glibc"),
    (Base(layers=[[member("lib"), member("lib/ld-musl-x86_64.so.1", "")]]), "musl's libc"),
    (Base(architecture="arm64"), "for linux/arm64, not for linux/amd64"),
    (Base(layer_type="application/vnd.oci.image.layer.v1.tar+xz"), "is not read here"),
    (Base(layer_type="application/vnd.in-toto+json"), "is not read here"),
    (Base(layer_type=f"{OCI}.layer.nondistributable.v1.tar+zstd"), "may not be distributed"),
    (Base(layer_type=FOREIGN), "may not be distributed"),
    (Base(layer_type=f"{OCI}.layer.v1.tar+zstd"), "is not valid zstd"),
    (Base(compress=lambda tar: zstd.compress(tar)[:-9], layer_type=ZSTD), "cut off"),
    (Base(layers=[[member(f"f{n}", str(n))] for n in range(119)]), "has 119 layers"),
    (Base(config={"rootfs": {"type": "layers", "diff_ids": []}}), "1 layers, and the config"),
    (Base(config={"rootfs": {"diff_ids": ["sha256:x"]}}), "is no sha256 digest"),
    (Base(config={"rootfs": {"diff_ids": [f"sha256:{'0' * 64}"]}}), "layer's content is not"),
    (Base(config={"rootfs": None}), "is not an image's"),
    (Base(config={"config": {"Env": "PATH=x"}}), "Env in the configuration"),
    (Base(config={"config": {"Labels": {"a": 1}}}), "Labels in the configuration"),
    (Base(config_size=5 << 20), "this is no image"),
    (Base(layers=[system(member("../up", "x"))]), "leaves the layer's root"),
    (Base(layers=[system(link("a", "/etc"), member("a/passwd", "x"))]), "not a directory"),
    (Base(layers=[system(hardlink("h", "../../etc/passwd"))]), "leaves the layer's root"),
    (Base(layers=[system(member("etc/.wh...", ""))]), "names nothing"),
]


@pytest.mark.parametrize(("base", "message"), REFUSED, ids=[m.replace("/", "") for _, m in REFUSED])
def test_what_cannot_be_a_base(registry: Registry, means: Means, base: Base, message: str) -> None:
    with pytest.raises(EnvlockError, match=message) as caught:
        get(registry, means, base)
    assert caught.value.where


def test_some_builders_name_the_root_by_a_slash(registry: Registry, means: Means) -> None:
    assert get(registry, means, Base(layers=[[member("/"), *system()]])).base.os == "debian 12"


def test_devices_below_dev_are_left_out(registry: Registry, means: Means) -> None:
    import tarfile

    node = member("dev/null", "", type=tarfile.CHRTYPE)
    assert get(registry, means, Base(layers=[system(member("dev"), node)])).base.os == "debian 12"


@pytest.mark.parametrize("lie", ["other", "short", "long", "gone"])
@pytest.mark.parametrize("which", ["config", "layer", "manifest"])
def test_bytes_that_are_not_the_promised_ones(
    registry: Registry, means: Means, which: str, lie: str
) -> None:
    digest = Base().push(registry, "base")
    index = push_index(registry, "base", "v1", {"amd64": digest})
    store = registry.repository("base")
    kind, data = store.manifests[digest]
    manifest = json.loads(data)
    entry = manifest["config"] if which == "config" else manifest["layers"][0]
    blob = data if which == "manifest" else store.blobs[entry["digest"]]
    changes = {"other": b"x" * len(blob), "short": blob[:-1], "long": blob + b"x"}
    if which == "manifest":
        store.manifests.pop(digest)
        if lie != "gone":
            store.manifests[digest] = (kind, changes[lie])
    else:
        store.blobs.pop(entry["digest"])
        if lie != "gone":
            store.blobs[entry["digest"]] = changes[lie]
    quick = replace(means, access=_Quick())
    reference = base_reference(f"{registry.address}/base@{index}")
    with pytest.raises(EnvlockError) as caught:
        obtain(reference, AMD, "3.11", quick)
    assert isinstance(caught.value, FetchError) or "JSON" in caught.value.message
    assert means.store.get(digest_of(blob).removeprefix("sha256:"), len(blob)) is None


class _Quick(Access):
    def pause(self, seconds: float) -> None:
        Access.pause(self, min(seconds, 0.001))


def test_a_manifest_of_many_megabytes_is_not_read(registry: Registry, means: Means) -> None:
    Base().push(registry, "base", "v1")
    kind, data = registry.repository("base").manifests["v1"]
    registry.repository("base").manifests["v1"] = (kind, data + b" " * (5 << 20))
    with pytest.raises(EnvlockError, match="larger than 4 MiB"):
        obtain(base_reference(f"{registry.address}/base:v1"), AMD, "3.11", means)


def test_a_platform_that_is_not_there(registry: Registry, means: Means) -> None:
    arm = Base(architecture="arm64").push(registry, "base")
    push_index(registry, "base", "v1", {"arm64": arm})
    with pytest.raises(EnvlockError, match="not there for linux/amd64") as caught:
        obtain(base_reference(f"{registry.address}/base:v1"), AMD, "3.11", means)
    assert "it is for linux/arm64" in caught.value.details[0]


def test_what_is_there_already_is_not_fetched(registry: Registry, means: Means) -> None:
    get(registry, means, Base())
    kept = registry.repository("base").blobs
    kept.clear()
    assert obtain(base_reference(f"{registry.address}/base:v1"), AMD, "3.11", means).base.layers


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python:3.11", "docker.io/library/python:3.11"),
        ("python", "docker.io/library/python:latest"),
        ("nvidia/cuda:12.4.1-base-ubuntu22.04", "docker.io/nvidia/cuda:12.4.1-base-ubuntu22.04"),
        ("docker.io/python:3", "docker.io/library/python:3"),
        ("localhost/x", "localhost/x:latest"),
        ("r.example.com:5000/a/b@sha256:" + "0" * 64, None),
        ("r.example.com/a:t@sha256:" + "0" * 64, None),
        ("python@sha256:" + "0" * 64, "docker.io/library/python@sha256:" + "0" * 64),
    ],
)
def test_names(text: str, full: str | None) -> None:
    assert str(base_reference(text)) == (full or text)


@pytest.mark.parametrize(
    "text", ["https://r.example.com/a", "A:b", "r.example.com/a@sha256:0", ":"]
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(EnvlockError, match=r"image\.base"):
        base_reference(text)


def spec_of(user: str) -> Any:
    text = (
        "version: 1\nname: one\nplatforms:\n  linux-64: {glibc: '2.36'}\npython: '3.11'\n"
        f"image:\n  base: x\n  user: '{user}'\n"
    )
    return parse_spec(parse_document(text, "one.yaml"), "one.yaml")


def test_users_by_name_are_the_bases(registry: Registry, means: Means) -> None:
    found = get(registry, means, Base())
    for user in ("app", "65532", "65532:0", "app:app"):
        check_user(spec_of(user), found)
    with pytest.raises(EnvlockError, match="no such user"):
        check_user(spec_of("nonroot"), found)


def test_remarks(registry: Registry, means: Means) -> None:
    libraries = [
        member("usr/lib/libcublas.so.12.4.5", b"x" * 1_500_000),
        member("usr/lib/libcublasLt.so.12.4.5", b"x" * 600_000),
        link("usr/lib/libcublas.so.12", "libcublas.so.12.4.5"),
        member("usr/lib/libcudart.so.12.4.99", b"x" * 100_000),
        member("usr/lib/libnvToolsExt.so.1", b"x" * 100_000),
        member("usr/lib/libcufft.so.11", b"x" * 900_000),
    ]
    settings = {"Env": ["PYTHONPATH=/x", "PYTHONHOME="], "OnBuild": ["RUN x"]}
    found = get(registry, means, Base(layers=[system(*libraries)], settings=settings))
    names = ("nvidia-cublas-cu12", "nvidia-cuda-runtime-cu12", "nvidia-nvtx-cu12", "triton")
    wheels = [wheel(name) for name in names]
    wheels.append(replace(wheel("torch"), file="torch-2-cp311-cp311-manylinux_2_28_x86_64.whl"))
    lock = a_lock(*wheels)
    lock = replace(lock, spec={**lock.spec, "image": {"base": "x"}}, base=found.base)
    told = list(remarks(found, lock))
    assert told[0].startswith(
        "the base image repeats 2 MB that the locked packages bring: "
        "nvidia-cublas-cu12, nvidia-cuda-runtime-cu12, nvidia-nvtx-cu12; "
    )
    about = ("repeats", "libstdc++", "no compiler", "sets PYTHONPATH", "ONBUILD")
    assert len(told) == len(about)
    assert all(word in line for word, line in zip(about, told, strict=True))
    assert list(remarks(get(registry, means, Base()), replace(lock, artifacts=()))) == []
