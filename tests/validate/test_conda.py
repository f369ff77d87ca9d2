"""Requirements between distributions of conda packages and of wheels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from envlock.platforms import PLATFORMS
from envlock.requirements import Installed
from envlock.validate.checks import compare_distributions, judge_requirements

from ..layers_conda.building import zoo
from ..layers_conda.making import conda_artifact
from ..makers.conda import make_conda

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Lock

ENVIRONMENT = PLATFORMS["linux-64"].marker_environment("3.12")
WHEEL = Installed(name="wheel-one", version="1.0", requires=(), location="/")


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """A wheel ``wheel-one``, and a conda package that brings ``brought`` 1.0."""
    packed = make_conda(tmp_path, "brought", "1.0")
    conda = conda_artifact(packed, provides=(("brought", "1.0"),))
    bare = zoo(tmp_path / "zoo").lock
    return replace(bare, artifacts=(conda, *bare.of_kind("pypi")))


def brought(*requires: str) -> Installed:
    return Installed(name="brought", version="1.0", requires=requires, location="/")


def test_what_conda_accepted_is_noted(lock: Lock) -> None:
    results = judge_requirements([brought("absent>=2"), WHEEL], lock, ENVIRONMENT)
    assert [result.status for result in results] == ["passed", "noted"]
    assert "absent>=2" in results[1].subject


@pytest.mark.parametrize("one", ["wheel", "conda"])
def test_what_a_wheel_breaks_or_lacks_fails(lock: Lock, one: str) -> None:
    wheel = replace(WHEEL, requires=("brought>=2",)) if one == "wheel" else WHEEL
    conda = brought("wheel-one>=2") if one == "conda" else brought()
    (result,) = judge_requirements([conda, wheel], lock, ENVIRONMENT)
    assert result.status == "failed"


def test_what_conda_brings_is_among_the_locked_distributions(lock: Lock) -> None:
    assert compare_distributions([brought(), WHEEL], lock).status == "passed"
    assert compare_distributions([WHEEL], lock).detail == (
        "brought 1.0 is locked and not installed",
    )
