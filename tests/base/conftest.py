from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..makers.fixtures import index, machine, mirror
from ..makers.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["index", "machine", "mirror"]


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running
