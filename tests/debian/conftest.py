from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..makers.debs import Repository, make_key

if TYPE_CHECKING:
    from pathlib import Path

    import pysequoia


@pytest.fixture(scope="session")
def key() -> pysequoia.Tsk:
    return make_key()


@pytest.fixture
def repository(tmp_path: Path, key: pysequoia.Tsk) -> Repository:
    """A repository with the packages that every solve asks for; not yet published."""
    made = Repository(tmp_path / "mirror", key=key)
    made.add_base()
    return made
