"""Config, manifest and index against the rules of the OCI image-spec 1.1."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from envlock.image.config import config_blob, environment
from envlock.layers.gzipstream import StreamDigests

from .making import check_blob, check_layout, environment_of, make_environment, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from .making import Environment

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return make_environment(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def layout(tiny: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layout")
    tiny.build(folder / "image", folder / "cache")
    return folder / "image"


def settings(asked: Environment) -> dict[str, Any]:
    """Return the config's ``config`` for an environment."""
    blob = config_blob(asked.lock, [])
    value: dict[str, Any] = json.loads(blob.data)["config"]
    return value


def env(asked: Environment) -> dict[str, str]:
    return dict(item.split("=", 1) for item in settings(asked)["Env"])


def test_the_layout_is_whole(layout: Path) -> None:
    check_layout(layout)
    assert {path.name for path in layout.iterdir()} == {"oci-layout", "index.json", "blobs"}
    assert {path.name for path in (layout / "blobs").iterdir()} == {"sha256"}


def test_the_index(layout: Path) -> None:
    index = read_json(layout / "index.json")
    assert index.keys() == {"schemaVersion", "mediaType", "manifests"}
    assert index["schemaVersion"] == 2
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    (descriptor,) = index["manifests"]
    assert descriptor["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert DIGEST.fullmatch(descriptor["digest"])
    assert descriptor["platform"] == {"architecture": "amd64", "os": "linux"}
    assert descriptor["annotations"] == {"org.opencontainers.image.ref.name": "tiny"}


def test_manifest_and_config(layout: Path) -> None:
    (descriptor,) = read_json(layout / "index.json")["manifests"]
    manifest = json.loads(check_blob(layout, descriptor))
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == descriptor["mediaType"]
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    for layer in manifest["layers"]:
        assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
        assert layer.keys() == {"mediaType", "digest", "size"}
    assert manifest["annotations"] == {
        "org.opencontainers.image.title": "tiny",
        "org.opencontainers.image.description": "Small and made up",
    }
    config = json.loads(check_blob(layout, manifest["config"]))
    assert config["architecture"] == "amd64"
    assert config["os"] == "linux"
    assert RFC3339.fullmatch(config["created"])
    assert config["rootfs"]["type"] == "layers"
    layers = len(manifest["layers"])
    assert len(config["rootfs"]["diff_ids"]) == layers == 2
    assert all(DIGEST.fullmatch(diff_id) for diff_id in config["rootfs"]["diff_ids"])
    history = [item for item in config["history"] if not item.get("empty_layer")]
    assert len(history) == len(config["history"]) == layers
    for item in history:
        assert item.keys() == {"created", "created_by"}
        assert item["created_by"].startswith("envlock: ")
    assert config["config"]["User"] == "nonroot"
    assert config["config"]["WorkingDir"] == "/app"
    assert config["config"]["Cmd"] == ["python3"]


def test_documents_are_canonical(layout: Path) -> None:
    (descriptor,) = read_json(layout / "index.json")["manifests"]
    manifest = check_blob(layout, descriptor)
    config = check_blob(layout, json.loads(manifest)["config"])
    for data in (manifest, config, (layout / "index.json").read_bytes()):
        value = json.loads(data)
        assert json.dumps(value, sort_keys=True, separators=(",", ":")).encode() == data


def test_nothing_of_this_program_or_machine_is_in_the_documents(layout: Path) -> None:
    from envlock import __version__

    texts = [path.read_bytes() for path in (layout / "blobs" / "sha256").iterdir()]
    documents = b"".join(text for text in texts if text.startswith(b"{"))
    assert __version__.encode() not in documents
    assert str(layout.parent).encode() not in documents


def test_environment_variables(tiny: Environment) -> None:
    assert env(tiny) == {"PATH": f"/opt/env/bin:{BASE_PATH}"}
    asked = tiny.with_image(env={"LANG": "C.UTF-8", "A": "b=c", "ZÜ": "日本"})
    assert env(asked) == {
        "PATH": f"/opt/env/bin:{BASE_PATH}",
        "LANG": "C.UTF-8",
        "A": "b=c",
        "ZÜ": "日本",
    }
    listed = settings(asked)["Env"]
    assert listed == sorted(listed)


def test_the_specs_variables_win(tiny: Environment) -> None:
    asked = tiny.with_image(env={"PATH": "/bin", "NVIDIA_VISIBLE_DEVICES": "none"})
    assert env(asked) == {"PATH": "/bin", "NVIDIA_VISIBLE_DEVICES": "none"}
    with_cuda = environment_of(
        name="gpu",
        platform={"name": "linux-64", "glibc": "2.36", "cuda": "12.4"},
        image={"env": {"NVIDIA_VISIBLE_DEVICES": "0"}},
    )
    assert environment(with_cuda.lock)["NVIDIA_VISIBLE_DEVICES"] == "0"


def test_nvidia_variables_come_with_cuda_alone(tiny: Environment) -> None:
    assert not [name for name in env(tiny) if name.startswith("NVIDIA_")]
    platform = {"name": "linux-64", "glibc": "2.36", "cuda": "12.4"}
    found = environment(environment_of(name="gpu", platform=platform).lock)
    assert {name: value for name, value in found.items() if name.startswith("NVIDIA_")} == {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": "cuda>=12.4",
    }


def test_what_is_not_asked_is_not_there() -> None:
    found = settings(environment_of(name="bare"))
    assert found.keys() == {"Env"}


def test_every_setting() -> None:
    asked = environment_of(
        name="full",
        image={
            "user": "1000:1000",
            "workdir": "/srv/app",
            "command": ["serve", "--all"],
            "entrypoint": ["/usr/bin/env"],
            "labels": {"a": "b"},
        },
    )
    found = settings(asked)
    assert found["User"] == "1000:1000"
    assert found["WorkingDir"] == "/srv/app"
    assert found["Cmd"] == ["serve", "--all"]
    assert found["Entrypoint"] == ["/usr/bin/env"]
    assert found["Labels"] == {"a": "b"}


def test_the_image_id_depends_on_diff_ids_and_not_on_compression() -> None:
    asked = environment_of(name="bare").lock
    one = StreamDigests(diff_id="sha256:1", digest="sha256:2", size=3, plain_size=4)
    two = StreamDigests(diff_id="sha256:1", digest="sha256:9", size=8, plain_size=4)
    assert config_blob(asked, [("x", one)]).digest == config_blob(asked, [("x", two)]).digest


@pytest.mark.parametrize("platform", ["linux-64", "linux-aarch64"])
def test_architectures(platform: str) -> None:
    from dataclasses import replace

    lock = replace(environment_of(name="bare").lock, platform=platform)
    config = json.loads(config_blob(lock, []).data)
    assert config["architecture"] == {"linux-64": "amd64", "linux-aarch64": "arm64"}[platform]
