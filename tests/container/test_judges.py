"""An image in the hands of tools that others wrote."""

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from envlock.progress import SILENT
from envlock.validate.layout import open_layout
from envlock.validate.rootfs import prepare_rootfs

from ..image.making import blobs, check_layout, read_json
from .judges import need, need_root, registry, run, skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Image
    from .judges import Podman

pytestmark = pytest.mark.container
MOUNT_POINTS = {"dev", "proc", "sys", "tmp", "etc/hosts", "etc/hostname", "etc/resolv.conf"}


def manifest_of(layout: Path) -> str:
    (descriptor,) = read_json(layout / "index.json")["manifests"]
    return str(descriptor["digest"])


# --- skopeo ---


def test_skopeo_copies_there_and_back(image: Image, tmp_path: Path) -> None:
    need("skopeo")
    there, back = tmp_path / "there", tmp_path / "back"
    skopeo("copy", f"oci:{image.layout}:tiny", f"oci:{there}:tiny", temporary=tmp_path)
    skopeo("copy", f"oci:{there}:tiny", f"oci:{back}:tiny", temporary=tmp_path)
    assert check_layout(back) == image.manifest
    assert blobs(back) == blobs(image.layout)


def test_skopeo_reads_the_archive_as_oci_and_as_dockers(image: Image, tmp_path: Path) -> None:
    need("skopeo")
    skopeo("copy", f"oci-archive:{image.archive}", f"oci:{tmp_path / 'a'}:x", temporary=tmp_path)
    assert check_layout(tmp_path / "a") == image.manifest
    raw = skopeo(
        "inspect", "--raw", "--config", f"docker-archive:{image.archive}", temporary=tmp_path
    )
    assert f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" == image.config
    skopeo(
        "copy", f"docker-archive:{image.archive}:tiny:latest", f"dir:{tmp_path / 'b'}",
        temporary=tmp_path,
    )  # fmt: skip
    manifest = read_json(tmp_path / "b" / "manifest.json")
    assert manifest["config"]["digest"] == image.config


def test_skopeo_shows_what_was_asked(image: Image, tmp_path: Path) -> None:
    need("skopeo")
    shown = json.loads(skopeo("inspect", f"oci:{image.layout}:tiny", temporary=tmp_path))
    assert shown["Digest"] == image.manifest
    assert shown["Architecture"] == "amd64"
    assert "GREETING=grüß dich" in shown["Env"]


# --- a registry ---


def test_through_a_registry_and_back(image: Image, tmp_path: Path) -> None:
    need("skopeo", "docker-registry")
    with registry(tmp_path) as address:
        remote = f"docker://{address}/team/tiny:v1"
        skopeo(
            "copy", "--dest-tls-verify=false", f"oci:{image.layout}:tiny", remote,
            temporary=tmp_path,
        )  # fmt: skip
        raw = skopeo("inspect", "--tls-verify=false", "--raw", remote, temporary=tmp_path)
        assert f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" == image.manifest
        pinned = f"docker://{address}/team/tiny@{image.manifest}"
        skopeo(
            "copy", "--src-tls-verify=false", pinned, f"oci:{tmp_path / 'back'}:tiny",
            temporary=tmp_path,
        )  # fmt: skip
    assert check_layout(tmp_path / "back") == image.manifest
    assert blobs(tmp_path / "back") == blobs(image.layout)


# --- umoci ---


def test_umoci_unpacks_what_we_unpack(image: Image, tmp_path: Path) -> None:
    need("umoci")
    need_root()
    run("umoci", "unpack", "--image", f"{image.layout}:tiny", tmp_path / "bundle")
    theirs = tmp_path / "bundle" / "rootfs"
    ours = prepare_rootfs(open_layout(image.layout), cache=tmp_path / "cache", reporter=SILENT)
    left, right = _tree(theirs), _tree(ours)
    assert set(right.keys() - left.keys()) <= MOUNT_POINTS
    assert left.keys() <= right.keys()
    for path, (kind, mode, content) in left.items():
        found = right[path]
        assert found[0] == kind, path
        assert found[2] == content, path
        if kind == "file" or (kind == "dir" and path not in MOUNT_POINTS):
            assert found[1] & 0o777 == mode & 0o777, path


def test_umoci_unpacks_what_the_layers_say(image: Image, tmp_path: Path) -> None:
    """Every owner, mode and link, the set-group-ID bits too."""
    need("umoci")
    need_root()
    run("umoci", "unpack", "--image", f"{image.layout}:tiny", tmp_path / "bundle")
    root = tmp_path / "bundle" / "rootfs"
    manifest = json.loads(
        (image.layout / "blobs" / manifest_of(image.layout).replace(":", "/")).read_bytes()
    )
    members: dict[str, tarfile.TarInfo] = {}
    for layer in manifest["layers"]:
        with tarfile.open(image.layout / "blobs" / layer["digest"].replace(":", "/")) as archive:
            members |= {info.name: info for info in archive}
    assert set(_tree(root)) == set(members)
    for path, info in members.items():
        status = (root / path).lstat()
        assert (status.st_uid, status.st_gid) == (info.uid, info.gid), path
        if info.islnk():
            assert (root / path).samefile(root / info.linkname)
        elif info.issym():
            assert str((root / path).readlink()) == info.linkname
        else:
            assert stat.S_IMODE(status.st_mode) == info.mode, path
            assert int(status.st_mtime) == 315532800 or info.isdir()


def test_umoci_finds_no_fault(image: Image) -> None:
    need("umoci")
    assert "tiny" in run("umoci", "ls", "--layout", image.layout)
    shown = json.loads(run("umoci", "stat", "--image", f"{image.layout}:tiny", "--json"))
    layers = [item for item in shown["history"] if not item.get("empty_layer")]
    assert [item["diff_id"] for item in layers] == list(image.diff_ids)


def _tree(root: Path) -> dict[str, tuple[str, int, bytes | str]]:
    found: dict[str, tuple[str, int, bytes | str]] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", 0, str(path.readlink()))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("dir", status.st_mode, b"")
        else:
            found[name] = ("file", status.st_mode, path.read_bytes())
    return found


# --- podman ---


@pytest.mark.parametrize("form", ["archive", "layout"])
def test_podman_loads_and_runs_it(image: Image, podman: Podman, form: str) -> None:
    if form == "archive":
        loaded = podman("load", "-i", image.archive)
        name = loaded.strip().rpartition(" ")[2]
    else:
        name = podman("pull", "-q", f"oci:{image.layout}:tiny").strip()
    found = podman.inspect(name)
    assert f"sha256:{found['Id'].removeprefix('sha256:')}" == image.config
    assert found["RootFS"]["Layers"] == list(image.diff_ids)
    assert found["User"] == "nonroot"
    assert podman.run_image(name) == "the command of the image\n"
    script = (
        'while read key value rest; do case $key in Uid:|Gid:) echo "$key $value";; esac; '
        "done < /proc/self/status; pwd; echo $GREETING; echo $HOME; test -w /app && echo writable; "
        "test -x /opt/env/bin/alpha && echo script; test -L /opt/env/bin/python3 && echo link"
    )
    assert podman.run_image(name, "sh", "-c", script).splitlines() == [
        "Uid: 65532",
        "Gid: 65532",
        "/app",
        "grüß dich",
        "/home/nonroot",
        "writable",
        "script",
        "link",
    ]


def test_podman_exports_the_same_digests(image: Image, podman: Podman, tmp_path: Path) -> None:
    """What an engine saves again still has our diffIDs and our image ID."""
    name = podman("load", "-i", image.archive).strip().rpartition(" ")[2]
    podman("save", "-q", "--format=oci-dir", "-o", tmp_path / "saved", name)
    (descriptor,) = read_json(tmp_path / "saved" / "index.json")["manifests"]
    place = tmp_path / "saved" / "blobs" / descriptor["digest"].replace(":", "/")
    manifest = read_json(place)
    assert manifest["config"]["digest"] == image.config
