"""What we push and load, in the hands of others."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from typing import TYPE_CHECKING

import pytest

from envlock.delivery.load import Load
from envlock.delivery.push import Push
from envlock.image.layout import Staging
from envlock.progress import SILENT
from envlock.registry.open import Access
from envlock.registry.reference import parse_reference

from ..image.making import blobs, check_layout
from .judges import containerd, need, need_root, registry, skopeo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Image
    from .judges import Podman

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def pushed(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Push the image to Debian's docker-registry; gives the reference."""
    need("docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    with registry(folder) as address:
        reference = parse_reference(f"{address}/team/tiny:v1")
        push = Push(reference, Access(chunk=200_000), folder / "cache", SILENT)
        push.check()
        push.take(Staging(image.layout, image.layout))
        assert push.finish() == image.manifest
        yield str(reference)


def test_skopeo_gets_the_very_same(image: Image, pushed: str, tmp_path: Path) -> None:
    need("skopeo")
    raw = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{pushed}", temporary=tmp_path)
    assert f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" == image.manifest
    back = tmp_path / "back"
    skopeo(
        "copy", "--src-tls-verify=false", f"docker://{pushed}", f"oci:{back}:tiny",
        temporary=tmp_path,
    )  # fmt: skip
    assert check_layout(back) == image.manifest
    assert blobs(back) == blobs(image.layout)


def test_podman_pulls_and_runs_it(image: Image, pushed: str, podman: Podman) -> None:
    podman("pull", "-q", "--tls-verify=false", pushed)
    assert podman.inspect(pushed)["Id"] == image.config.removeprefix("sha256:")
    assert podman.run_image(pushed) == "the command of the image\n"


def test_podman_loads_it_from_a_stream(image: Image, podman: Podman, tmp_path: Path) -> None:
    words = shlex.join(podman.words)
    (tmp_path / "podman").write_text(
        f'#!/bin/sh\nexport HOME={podman.folder / "home"}\nexec {words} "$@"\n'
        f"# found before {os.environ['PATH']}\n"
    )
    (tmp_path / "podman").chmod(0o755)
    Load("podman", "tiny", str(tmp_path), SILENT).take(Staging(image.layout, image.layout))
    assert podman.inspect("localhost/tiny:latest")["Id"] == image.config.removeprefix("sha256:")


def test_containerd_pulls_it(image: Image, pushed: str, tmp_path: Path) -> None:
    need("containerd", "ctr")
    need_root()
    with containerd(tmp_path) as ctr:
        ctr("images", "pull", "--plain-http", "--snapshotter", "native", pushed)
        assert image.manifest in ctr("images", "list")
        held = ctr("content", "get", image.manifest)
        assert json.loads(held)["config"]["digest"] == image.config
