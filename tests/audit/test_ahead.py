"""Functions that another process runs ahead change how long an audit takes, and nothing else."""

from __future__ import annotations

import pickle
import tempfile
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envlock.audit import Target, audit_indexes, index_wheel
from envlock.audit.resolve import ahead, audit
from envlock.audit.resolve.audit import noted as really_noted
from envlock.audit.resolve.audit import trace
from envlock.audit.resolve.keeping import Kept
from envlock.audit.resolve.report import report
from tests.audit.making import make_wheel
from tests.audit.worlds import DISTRIBUTIONS, make_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.resolve.escapes import Escapes
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module
    from envlock.audit.resolve.traces import Tracer

TARGET = Target(python="3.11")


def _world(folder: Path, random: Random) -> list[WheelIndex]:
    return [
        index_wheel(make_wheel(folder, name, make_sources(random, name))) for name in DISTRIBUTIONS
    ]


def _run_ahead(world: list[WheelIndex], cache: Path, at_once: int) -> tuple[Kept, ahead.Ahead]:
    """Run all functions ahead, by a thread in the place of the process."""
    kept = Kept(cache / "traces", "")
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "_AT_ONCE", at_once)
        pool.submit(ahead._begin, pickle.dumps((world, TARGET, cache))).result()
        helper = ahead.Ahead(pool, len(ahead._runs[0][3]), kept)
        wait(helper._parts.values())
    return kept, helper


@settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32))
def test_a_helped_audit_is_a_full_audit(seed: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        random = Random(seed)
        world = _world(Path(place), random)
        full = audit_indexes(world, TARGET)
        cache = Path(place) / "cache"
        kept, helper = _run_ahead(world, cache, random.randrange(1, 6))
        assert report(trace(world, TARGET, cache, kept, helper)) == full
        kept.keep()


def test_functions_that_were_run_ahead_are_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = range(70)
    files = {f"app/part{number}.py": f"def go():\n    import gone{number}\n" for number in numbers}
    world = [index_wheel(make_wheel(tmp_path, "app", {"app/__init__.py": "", **files}))]
    kept, helper = _run_ahead(world, tmp_path, 2)
    names: list[str] = []
    monkeypatch.setattr(
        audit, "noted", lambda _run, _tracer, modules: names.extend(one.name for one in modules)
    )
    found = report(trace(world, TARGET, tmp_path, kept, helper))
    kept.keep()
    assert names == []
    assert len(found.findings) == 70
    assert found == audit_indexes(world, TARGET)


def test_another_process_runs_ahead_of_many_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _world(tmp_path, Random(7))
    full = audit_indexes(world, TARGET)
    reach = ahead.Ahead.reach
    names: list[str] = []

    def patient(self: ahead.Ahead, number: int) -> None:
        wait(self._parts.values())
        reach(self, number)

    def noted(run: Run, tracer: Tracer, modules: Sequence[Module]) -> Escapes:
        names.extend(one.name for one in modules)
        return really_noted(run, tracer, modules)

    monkeypatch.setattr(ahead.Ahead, "reach", patient)
    monkeypatch.setattr(audit, "noted", noted)
    monkeypatch.setattr(ahead, "_WORTH", 1)
    assert audit_indexes(world, TARGET, cache=tmp_path / "cache", jobs=2) == full
    assert len(names) < sum(len(index.modules) for index in world) / 2
    assert audit_indexes(world, TARGET, cache=tmp_path / "cache") == full
