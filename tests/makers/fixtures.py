"""Fixtures that several rooms share; a room's conftest.py imports the ones it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .debs import Repository
from .index import Index
from .machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian mirror with a Python in it; its keyring lies beside, as ``keyring.gpg``."""
    repository = Repository(tmp_path_factory.mktemp("debian") / "mirror")
    repository.add_base()
    repository.add("python3.11-minimal")
    repository.add("hello")
    repository.publish()
    updates = Repository(repository.root, suite="bookworm-updates", key=repository.key)
    updates.publish()
    repository.write_keyring(repository.root.parent / "keyring.gpg")
    return repository.root


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """An empty package index on loopback."""
    with Index(tmp_path / "index") as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path, index: Index, mirror: Path) -> Machine:
    """A machine with an empty project that takes everything from ``index`` and ``mirror``."""
    index.folders["debian"] = mirror
    return Machine(
        tmp_path / "machine",
        {
            "ENVLOCK_INDEX_PYPI": index.url,
            "ENVLOCK_MIRROR_DEBIAN": f"{index.base}/debian",
            "ENVLOCK_KEYRING_DEBIAN": str(mirror.parent / "keyring.gpg"),
        },
    )
