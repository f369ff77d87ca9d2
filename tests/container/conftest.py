from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..image.making import Environment, environment_of, make_debs, make_wheels
from ..layers_deb.making import Item, write_deb
from .judges import Podman, need, need_root

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Image:
    """A built image in both forms, and its digests."""

    layout: Path
    archive: Path
    manifest: str
    config: str
    diff_ids: tuple[str, ...]


def _shell(folder: Path) -> Path:
    """Return a package with this machine's sh and the libraries that it needs."""
    shell = Path("/bin/sh").resolve()
    listed = subprocess.run(["ldd", shell], capture_output=True, text=True, check=True).stdout
    items = [Item("./usr/bin/sh", shell.read_bytes(), 0o755)]
    for place in re.findall(r"(?:=> |^\s*)(/\S+) \(", listed, re.MULTILINE):
        items.append(Item(f".{place}", Path(place).resolve().read_bytes(), 0o755))
    return write_deb(folder, items, "shell")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("container-artifacts")
    files = [*make_debs(folder), _shell(folder), *make_wheels(folder)]
    return environment_of(
        *files,
        image={
            "user": "nonroot",
            "workdir": "/app",
            "command": ["sh", "-c", "echo the command of the image"],
            "env": {"GREETING": "grüß dich"},
        },
    )


@pytest.fixture(scope="session")
def image(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("container-image")
    built = environment.build(folder / "image", folder / "cache")
    archive = environment.build(folder / "image.tar", folder / "cache")
    assert archive.digests.manifest == built.digests.manifest
    return Image(
        layout=folder / "image",
        archive=folder / "image.tar",
        manifest=built.digests.manifest,
        config=built.digests.config,
        diff_ids=tuple(layer.diff_id for layer in built.digests.layers),
    )


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    need("podman", "unshare")
    need_root()
    engine = Podman(tmp_path_factory.mktemp("podman"))
    yield engine
    engine.close()
