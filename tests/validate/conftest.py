"""A root file system with a Python in it, unpacked once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envlock.validate.layout import open_layout
from envlock.validate.rootfs import prepare_rootfs
from envlock.validate.sandbox import DEFAULT_PATH, Bubblewrap, find_bwrap

from .images import SILENT, Layout, python_layer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """Give a folder that other users can reach."""
    path = Path(tempfile.mkdtemp(prefix="envlock-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def layout(work: Path) -> Layout:
    return Layout(work / "layout", config={"User": "nonroot", "WorkingDir": "/app"}).raw_layer(
        python_layer()
    )


@pytest.fixture(scope="session")
def rootfs(layout: Layout, work: Path) -> Path:
    image = open_layout(layout.write())
    return prepare_rootfs(image, cache=work / "cache", reporter=SILENT)


@pytest.fixture
def sandbox() -> Bubblewrap:
    return Bubblewrap(find_bwrap(DEFAULT_PATH))
