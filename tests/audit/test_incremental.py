"""What is kept of earlier runs changes how long an audit takes, and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envlock.audit import Audit, Target, audit_indexes, index_wheel
from envlock.audit.resolve import keeping
from envlock.audit.resolve.replay import Replay
from tests.audit.making import make_wheel
from tests.audit.worlds import DISTRIBUTIONS, make_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.resolve.state import Module

TARGET = Target(python="3.11")


def _index(folder: Path, name: str, files: Mapping[str, str], version: str = "1") -> WheelIndex:
    return index_wheel(make_wheel(folder, name, files, version=version))


def _draw(folder: Path, random: Random, name: str) -> WheelIndex:
    return _index(folder, name, make_sources(random, name), random.choice("123"))


@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32))
def test_an_incremental_audit_is_a_full_audit(seed: int) -> None:
    random = Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        world = {name: _draw(folder, random, name) for name in DISTRIBUTIONS}
        for _ in range(5):
            full = audit_indexes(world.values(), TARGET)
            assert audit_indexes(world.values(), TARGET, cache=folder / "cache") == full
            name = random.choice(DISTRIBUTIONS)
            if random.random() < 0.15 and len(world) > 2:
                world.pop(name, None)
            else:
                world[name] = _draw(folder, random, name)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell which modules were run, and not taken over."""
    names: list[str] = []
    begin = Replay.reuse

    def reuse(self: Replay, module: Module) -> bool:
        found = begin(self, module)
        if not found:
            names.append(module.name)
        return found

    monkeypatch.setattr(Replay, "reuse", reuse)
    return names


LIBRARY = {"lib/__init__.py": "from lib.names import one, two\n", "lib/names.py": "one = two = 1\n"}
USER = {
    "app/__init__.py": "",
    "app/first.py": "from lib import one\n",
    "app/second.py": "from lib import two\n",
    "app/third.py": "import json\n",
}


def _audit(folder: Path, library: Mapping[str, str]) -> Audit:
    indexes = [_index(folder, "lib", library), _index(folder, "app", USER)]
    return audit_indexes(indexes, TARGET, cache=folder / "cache")


def test_only_what_asks_for_the_difference_is_run(tmp_path: Path, run: list[str]) -> None:
    assert not _audit(tmp_path, LIBRARY).findings
    run.clear()
    changed = {**LIBRARY, "lib/names.py": "one = 1\n", "lib/__init__.py": "from lib.names import *"}
    audit = _audit(tmp_path, changed)
    assert [finding.text for finding in audit.findings] == ["app.second needs lib.two"]
    assert sorted(run) == ["app.second", "lib", "lib.names"]
    run.clear()
    assert not _audit(tmp_path, LIBRARY).findings
    assert run == []


def test_damaged_traces_are_made_anew(tmp_path: Path, run: list[str]) -> None:
    first = _audit(tmp_path, LIBRARY)
    for path in (tmp_path / "cache" / "traces").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    run.clear()
    assert _audit(tmp_path, LIBRARY) == first
    assert "app.first" in run
    run.clear()
    assert _audit(tmp_path, LIBRARY) == first
    assert run == []


def test_old_traces_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _audit(tmp_path, LIBRARY)
    assert len(list((tmp_path / "cache" / "traces").iterdir())) == 2
    monkeypatch.setattr(keeping, "AGE", -10.0)
    _audit(tmp_path, {**LIBRARY, "lib/names.py": "one = two = three = 1\n"})
    assert not list((tmp_path / "cache" / "traces").iterdir())


def test_states_are_packed_on_the_way() -> None:
    shelf, texts = keeping.Shelf(), [f"state {number}" for number in range(2 * keeping._CHUNK + 5)]
    places = [shelf.add(text) for text in texts]
    assert len(shelf.fresh) == 5
    assert [shelf.text(*place) for place in places] == texts
    again = keeping._unpack(shelf.pack())
    assert [again.text(*place) for place in places] == texts
    assert again.add("one more") == [3, 0]
    assert again.text(3, 0) == "one more"


def test_few_variants_are_kept_of_a_module(tmp_path: Path) -> None:
    for number in range(keeping.VARIANTS + 3):
        _audit(tmp_path, {**LIBRARY, "lib/names.py": f"one = two = {number}\n"})
    kept = keeping.Kept(tmp_path / "cache" / "traces", "")
    shelves = [kept._read(path) for path in (tmp_path / "cache" / "traces").iterdir()]
    numbers = [len(parts) for shelf in shelves for parts in shelf.modules.values()]
    assert max(numbers) == keeping.VARIANTS


def test_what_a_run_bound_is_forgotten_when_it_is_run_again(tmp_path: Path) -> None:
    flags = "FLAG = 0\ndef helper(x):\n    global FLAG\n    FLAG = 1\n    return FLAG\n"
    core = (
        "import bee\nif bee.FLAG:\n    import absent\n"
        "from bee import helper\nif helper(1):\n    here = 1\n"
        "try:\n    from cat import gone\nexcept ImportError:\n    pass\n"  # cat is run again
    )
    world = [
        _index(tmp_path, "bee", {"bee/__init__.py": flags}),
        _index(tmp_path, "cat", {"cat/__init__.py": "import cat.core\n", "cat/core.py": core}),
    ]
    full = audit_indexes(world, TARGET)
    assert "absent" not in {finding.needs.module for finding in full.findings}
    assert "gone" in {finding.needs.name for finding in full.findings}
    assert audit_indexes(world, TARGET, cache=tmp_path / "cache") == full


def test_what_a_part_did_is_not_what_its_importer_did(tmp_path: Path) -> None:
    cat = "import cat\nhelper = cat.side\nimport dog\n"
    first = "try:\n    import dog.core.deep\nexcept ImportError:\n    beta = None\n"
    for dog in (first, ""):
        world = [
            _index(tmp_path, "cat", {"cat/__init__.py": cat}),
            _index(tmp_path, "dog", {"dog/__init__.py": dog}),
        ]
        full = audit_indexes(world, TARGET)
        assert audit_indexes(world, TARGET, cache=tmp_path / "cache") == full
