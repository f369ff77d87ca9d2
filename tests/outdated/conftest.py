from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..makers.fixtures import index, machine, mirror
from ..solve_conda.solving import make_channels

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["channels", "index", "machine", "mirror"]


@pytest.fixture(scope="session")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the channels; no test changes it."""
    folder = tmp_path_factory.mktemp("channels")
    make_channels(folder)
    return folder
