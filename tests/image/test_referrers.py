"""Documents beside an image: what refers to it changes nothing of it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from envlock.image.layout import referenced_blobs
from envlock.validate.layout import open_layout

from ..container.judges import need
from ..makers.fixtures import index, machine, mirror

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

__all__ = ["index", "machine", "mirror"]

TYPES = {
    "application/vnd.cyclonedx+json": "cdx.json",
    "application/spdx+json": "spdx.json",
    "application/vnd.in-toto+json": "provenance.json",
}


def _build(machine: Machine, *arguments: str) -> dict[str, Any]:
    done = machine.run("build", "web", "--no-validate", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    return image  # type: ignore[no-any-return]


def _blob(layout: Path, digest: str) -> bytes:
    data = (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == digest
    return data


@pytest.fixture
def locked(machine: Machine, index: Index) -> Machine:
    index.wheel("app", "1.0")
    machine.write_spec("web", "pypi: {dependencies: [app]}\n")
    assert machine.run("solve", "web").returncode == 0
    return machine


def test_documents_refer_to_the_image_that_is_as_without_them(locked: Machine) -> None:
    plain = _build(locked)
    assert plain["documents"] == []
    image = _build(locked, "--sbom", "--provenance")
    assert image["manifest"] == plain["manifest"]
    layout = locked.project / "build" / "web"
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    assert entries[0]["digest"] == image["manifest"]
    assert "artifactType" not in entries[0]
    assert {entry["artifactType"] for entry in entries[1:]} == set(TYPES)
    for entry in entries[1:]:
        manifest = json.loads(_blob(layout, entry["digest"]))
        ending = TYPES[entry["artifactType"]]
        assert manifest["artifactType"] == entry["artifactType"]
        assert manifest["subject"]["digest"] == image["manifest"]
        assert _blob(layout, manifest["config"]["digest"]) == b"{}"
        (content,) = manifest["layers"]
        assert content["mediaType"] == entry["artifactType"]
        beside = locked.project / "build" / f"web.{ending}"
        assert _blob(layout, content["digest"]) == beside.read_bytes()
    assert image["documents"] == [f"build/web.{ending}" for ending in TYPES.values()]
    present = {path.name for path in (layout / "blobs" / "sha256").iterdir()}
    assert present == referenced_blobs(layout)
    assert open_layout(layout).manifest == image["manifest"]
    assert open_layout(layout, architecture="amd64").manifest == image["manifest"]
    (statement,) = [
        json.loads((layout.parent / name.removeprefix("build/")).read_bytes())
        for name in image["documents"]
        if "provenance" in name
    ]
    assert f"sha256:{statement['subject'][0]['digest']['sha256']}" == image["manifest"]
    # the next build without them has none
    _build(locked)
    assert len(json.loads((layout / "index.json").read_text())["manifests"]) == 1


def test_the_same_lock_gives_the_same_documents(locked: Machine, tmp_path: Path) -> None:
    _build(locked, "--sbom", "--provenance", "-o", str(tmp_path / "one"))
    again = {"ENVLOCK_CACHE_DIR": str(tmp_path / "cold"), "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    locked.environ |= again
    _build(locked, "--sbom", "--provenance", "-o", str(tmp_path / "two"))
    for ending in TYPES.values():
        one = (tmp_path / f"one.{ending}").read_bytes()
        assert one == (tmp_path / f"two.{ending}").read_bytes()
        assert str(tmp_path).encode() not in one
    assert (tmp_path / "one/index.json").read_bytes() == (tmp_path / "two/index.json").read_bytes()


def test_an_archive_has_them_and_one_image_for_docker(locked: Machine, tmp_path: Path) -> None:
    image = _build(locked, "--sbom", "-o", str(tmp_path / "web.tar"))
    assert (tmp_path / "web.cdx.json").is_file()
    with tarfile.open(tmp_path / "web.tar") as archive:
        names = archive.getnames()
        described = json.load(archive.extractfile("index.json"))["manifests"]  # type: ignore[arg-type]
        docker = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert len(described) == 3
    assert all(f"blobs/sha256/{one['digest'][7:]}" in names for one in described)
    assert [one["RepoTags"] for one in docker] == [["web:latest"]]
    assert open_layout(tmp_path / "web.tar").manifest == image["manifest"]


@pytest.mark.container
def test_skopeo_carries_image_and_documents(locked: Machine, tmp_path: Path) -> None:
    need("skopeo")
    image = _build(locked, "--sbom", "--provenance")
    layout = locked.project / "build" / "web"

    def digest_of(name: str) -> str:
        copy = tmp_path / name
        subprocess.run(
            ["skopeo", "copy", "-q", f"oci:{layout}:{name}", f"oci:{copy}:x"], check=True
        )
        raw = subprocess.run(
            ["skopeo", "inspect", "--raw", f"oci:{copy}:x"], check=True, capture_output=True
        ).stdout
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"

    assert digest_of("web") == image["manifest"]
    entries = json.loads((layout / "index.json").read_text())["manifests"][1:]
    for entry in entries:
        name = entry["annotations"]["org.opencontainers.image.ref.name"]
        assert digest_of(name) == entry["digest"]
