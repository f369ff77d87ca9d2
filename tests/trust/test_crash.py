"""A few kills and a full disk, and that broken promises would be noticed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .adversity import can_mount, full_disk
from .crash import Tally, crash, machine, table
from .crashing import SCENARIOS, BrokenPromiseError, check, check_store, left_behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .crashing import World

BUILD = next(one for one in SCENARIOS if one.name == "fetch and build")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with machine(tmp_path_factory.mktemp("crash"), [BUILD]) as made:
        yield made


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_few_kills(world: World) -> None:
    told = crash(world, [BUILD], kills=2, seed=5)
    assert told[BUILD.name].killed == 2
    assert not told[BUILD.name].problems, "\n".join(table(told))
    assert told[BUILD.name].again == 0


def test_a_full_disk(world: World) -> None:
    if not can_mount(world.machine.root / "try"):
        pytest.skip("small disks take root")
    assert full_disk(world, BUILD, "cache", 65536) == "failed"


def test_what_is_broken_is_noticed(world: World) -> None:
    BUILD.set_up(world)
    assert check(world, BUILD) == "old"
    poisoned = world.machine.cache / "artifacts" / "00" / ("0" * 64)
    poisoned.parent.mkdir(parents=True)
    poisoned.write_bytes(b"x")
    with pytest.raises(BrokenPromiseError, match="poisoned"):
        check_store(world.machine.cache)
    (world.project / "build" / ".one.staging-x").mkdir()
    assert left_behind(world) == ["build/.one.staging-x"]
    lock = world.machine.lock("one")
    lock.write_bytes(lock.read_bytes()[:-10])
    with pytest.raises(BrokenPromiseError):
        check(world, BUILD)
    (world.project / "build" / "one" / "index.json").unlink()
    with pytest.raises(BrokenPromiseError, match="is gone"):
        BUILD.seen(world)
    lines = table({"x": Tally(killed=3, problems=["it broke"])})
    assert lines[-1] == "3 kills, 1 promises broken"
