from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError, IntegrityError, UsageError
from envlock.validate.layout import open_layout

from .images import Layout, member, tar_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    config = {"Env": ["PATH=/bin", "A=b=c"], "User": "nonroot", "Cmd": ["python3"]}
    return Layout(tmp_path / "layout", config=config).layer(member("a", "1"))


def test_reads_manifest_and_config(layout: Layout) -> None:
    image = open_layout(layout.write(), architecture="amd64")
    assert image.config.env == {"PATH": "/bin", "A": "b=c"}
    assert image.config.user == "nonroot"
    assert image.config.command == ("python3",)
    assert [layer.diff_id for layer in image.layers] == layout.diff_ids
    assert image.layers[0].gzipped


def test_reads_a_tar_where_it_lies(layout: Layout, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(layout.write(), arcname=".")
    image = open_layout(archive)
    with image.blobs.open(image.layers[0].blob.name) as file:
        assert len(file.read()) == image.layers[0].blob.size


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "compressed", "long names"])
def test_what_is_no_layout(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "image"
    if kind == "empty":
        path.mkdir()
    elif kind == "text":
        path.write_text("hello")
    elif kind == "compressed":
        with tarfile.open(path, "w:gz"):
            pass
    elif kind == "long names":
        path.write_bytes(tar_of(*[member("a", "x\0", type=tarfile.GNUTYPE_LONGNAME)] * 1000))
    with pytest.raises(UsageError):
        open_layout(path)


def test_wrong_architecture_names_what_is_there(layout: Layout) -> None:
    with pytest.raises(UsageError, match="arm64") as caught:
        open_layout(layout.write("arm64"), architecture="amd64")
    assert "for arm64" in caught.value.details[0]


def test_a_platform_without_an_architecture_is_no_match(layout: Layout) -> None:
    root = layout.write()
    index = json.loads((root / "index.json").read_text())
    index["manifests"][0]["platform"] = {"os": "linux"}
    (root / "index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match="0 images for linux/amd64"):
        open_layout(root, architecture="amd64")


def test_two_images_need_a_choice(layout: Layout) -> None:
    root = layout.write("amd64")
    first = json.loads((root / "index.json").read_text())["manifests"]
    layout.write("arm64")
    second = json.loads((root / "index.json").read_text())["manifests"]
    (root / "index.json").write_text(json.dumps({"manifests": first + second}))
    assert open_layout(root, architecture="arm64").manifest == second[0]["digest"]
    with pytest.raises(UsageError):
        open_layout(root)


def test_nested_index(layout: Layout) -> None:
    root = layout.write()
    nested = layout.blob(
        (root / "index.json").read_bytes(), "application/vnd.oci.image.index.v1+json"
    )
    (root / "index.json").write_text(json.dumps({"manifests": [nested]}))
    assert len(open_layout(root, architecture="amd64").layers) == 1


def test_changed_manifest_and_missing_blob(layout: Layout) -> None:
    root = layout.write()
    digest = json.loads((root / "index.json").read_text())["manifests"][0]["digest"]
    blob = root / "blobs" / digest.replace(":", "/")
    data = blob.read_bytes()
    blob.write_bytes(data.replace(b"schemaVersion", b"schemaversion"))
    with pytest.raises(IntegrityError, match="not what its descriptor says"):
        open_layout(root)
    blob.unlink()
    with pytest.raises(IntegrityError, match="lacks this blob"):
        open_layout(root)


@pytest.mark.parametrize(
    "digest", ["sha256:../../../../etc/passwd", "md5:00", "sha256:ABC", 7, None, "sha256:"]
)
def test_hostile_digests(layout: Layout, digest: object) -> None:
    root = layout.write()
    (root / "index.json").write_text(json.dumps({"manifests": [{"digest": digest, "size": 3}]}))
    with pytest.raises(ArtifactError):
        open_layout(root)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 200_000, '{"manifests": 3}'])
def test_malformed_index(layout: Layout, text: str) -> None:
    root = layout.write()
    (root / "index.json").write_text(text)
    with pytest.raises(ArtifactError):
        open_layout(root)


def test_unknown_layer_type(layout: Layout) -> None:
    layout.layers[0]["mediaType"] += "+zstd"
    with pytest.raises(UsageError, match="zstd"):
        open_layout(layout.write())


def test_diff_ids_must_match_layers(layout: Layout) -> None:
    layout.diff_ids.append(layout.diff_ids[0])
    with pytest.raises(ArtifactError, match="diff_ids"):
        open_layout(layout.write())
