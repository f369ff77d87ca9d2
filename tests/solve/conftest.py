from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..makers.fixtures import index, machine, mirror
from .solving import Solver

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index

__all__ = ["index", "machine", "mirror", "solver"]


@pytest.fixture
def solver(tmp_path: Path, index: Index) -> Solver:
    return Solver(tmp_path / "solver", index)
