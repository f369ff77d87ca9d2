from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..makers.fixtures import index, machine, mirror
from ..makers.index import Index
from ..makers.machine import Machine
from ..solve_conda.solving import make_channels

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["index", "machine", "mirror", "solved"]

SPEC = """\
version: 1
name: one
platforms:
  linux-64: {glibc: "2.36"}
  linux-aarch64: {glibc: "2.36"}
python: "3.12"
conda:
  channels: [main]
  dependencies: [numpy, pandas]
pypi:
  dependencies: [app]
"""


@pytest.fixture(scope="session")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a project whose one environment is solved; no test changes it."""
    root = tmp_path_factory.mktemp("exchange")
    make_channels(root / "channels")
    with Index(root / "index", folders={"conda": root / "channels"}) as index:
        index.wheel("app", "1.0", ["numpy>=1.20"], offer={"metadata": True})
        machine = Machine(root / "machine", {"ENVLOCK_CHANNELS": f"{index.base}/conda"})
        machine.use(index)
        (machine.project / "envs" / "one.yaml").write_text(SPEC)
        done = machine.run("solve")
        assert done.returncode == 0, done.stderr
        yield machine
