from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.channels import ChannelAccess

from ..makers.fixtures import index, machine, mirror
from .solving import CondaSolver, make_channels

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index

__all__ = ["channels", "index", "machine", "mirror", "served", "solver"]


@pytest.fixture(scope="session")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the channels; no test changes it."""
    folder = tmp_path_factory.mktemp("channels")
    make_channels(folder)
    return folder


@pytest.fixture
def solver(tmp_path: Path, index: Index, channels: Path) -> CondaSolver:
    """A machine that has the channels as folders."""
    access = {name: ChannelAccess(urls=((channels / name).as_uri(),)) for name in ("main", "other")}
    return CondaSolver(tmp_path / "solver", index, access)


@pytest.fixture
def served(tmp_path: Path, index: Index, channels: Path) -> CondaSolver:
    """A machine that has the channels over HTTP, from the index's server."""
    index.folders["conda"] = channels
    access = {
        name: ChannelAccess(urls=(f"{index.base}/conda/{name}",)) for name in ("main", "other")
    }
    return CondaSolver(tmp_path / "solver", index, access)
