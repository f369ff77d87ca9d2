"""What only shows on environments that nobody had in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.errors import OverrideError, SpecError, UnsatisfiableError
from envlock.platforms import PLATFORMS
from envlock.requirements import Installed, check_requirements

from .solving import Solver, versions

if TYPE_CHECKING:
    from ..makers.index import Index


def test_an_environment_may_have_the_name_of_one_of_its_packages(
    index: Index, solver: Solver
) -> None:
    index.wheel("one", "1.0", ["two"])
    index.wheel("two", "2.0")
    solution = solver("pypi: {dependencies: [one]}\n")
    assert versions(solution) == {"one": "1.0", "two": "2.0"}


def test_its_name_stands_in_explanations(index: Index, solver: Solver) -> None:
    index.wheel("two", "2.0")
    with pytest.raises(UnsatisfiableError) as caught:
        solver("pypi: {dependencies: [two<1]}\n")
    assert any("one depends on two<1" in line for line in caught.value.details)
    assert not any("environment-" in line for line in caught.value.details)


def test_what_the_spec_asks_for_must_be_there() -> None:
    environment = PLATFORMS["linux-64"].marker_environment("3.11")
    installed = [Installed(name="two", version="2.0")]
    roots = ["one", "two>=3", "three; sys_platform == 'win32'"]
    verdict = check_requirements(installed, environment, roots=roots)
    assert [str(violation) for violation in verdict.violations] == [
        "the spec requires one, it is not installed",
        "the spec requires two>=3, has 2.0",
    ]


def test_an_override_against_a_pin_that_does_not_exist(index: Index, solver: Solver) -> None:
    index.wheel("six", "1.17")
    body = (
        "pypi: {dependencies: [six]}\n"
        'overrides: [{package: zzz, version: "==2", against: {six: "zzz==2"}, because: why}]\n'
    )
    with pytest.raises(OverrideError, match=r"six 1\.17 does not require zzz"):
        solver(body)


def test_until_must_name_a_package_that_is_there(index: Index, solver: Solver) -> None:
    index.wheel("torch", "2.6.0", ["triton==3.2.0"])
    index.wheel("triton", "2.3.1")
    index.wheel("triton", "3.2.0")
    body = (
        "pypi: {dependencies: [torch]}\n"
        'overrides: [{package: triton, version: "==2.3.1", against: {torch: "triton==3.2.0"}, '
        "because: why, until: tortch>=3}]\n"
    )
    with pytest.raises(OverrideError, match="tortch, which is not among the packages"):
        solver(body)


@pytest.mark.parametrize(
    ("glibc", "named"),
    [("2.17", "2_17"), ("2.5", "2_17"), ("2.30", "2_28"), ("2.36", "2_36"), ("2.41", "2_40")],
)
def test_uv_gets_a_platform_that_it_knows(glibc: str, named: str) -> None:
    assert PLATFORMS["linux-64"].uv(glibc) == f"x86_64-manylinux_{named}"


@pytest.mark.parametrize(
    "image",
    [
        'env: {PIP_INDEX_URL: "https://user:hunter2@example.com/simple"}',
        'command: [pip, download, "https://user:hunter2@example.com/x"]',
        'labels: {source: "https://user:hunter2@example.com/x"}',
    ],
)
def test_credentials_do_not_get_into_an_image(solver: Solver, image: str) -> None:
    with pytest.raises(SpecError, match="carries a credential") as caught:
        solver(f"pypi: {{dependencies: [six]}}\nimage:\n  {image}\n")
    assert "hunter2" not in str(caught.value)


def test_a_version_that_no_index_has(index: Index, solver: Solver) -> None:
    index.wheel("two", "2.0")
    index.wheel("one", "1.0", ["two"])
    with pytest.raises(UnsatisfiableError, match="two==99") as caught:
        solver("pypi: {dependencies: [one, two==99]}\n")
    assert caught.value.where == "envs/one.yaml:6:28"
    assert "no index has such a version" in caught.value.message
    assert caught.value.hint == "the newest that Python 3.11 on linux-64 can take is two 2.0"


def test_what_is_there_for_another_machine_only(index: Index, solver: Solver) -> None:
    index.wheel("two", "1.0")
    index.wheel("two", "2.0", tag="cp311-cp311-win_amd64")
    index.wheel("three", "3.0", tag="cp311-cp311-win_amd64")
    with pytest.raises(UnsatisfiableError, match=r"asks for two==2\.0, of which no") as caught:
        solver("pypi: {dependencies: [two==2.0]}\n")
    hint = caught.value.hint or ""
    assert hint.startswith("the newest that Python 3.11 on linux-64 can take is two 1.0; ")
    assert "put a wheel of two==2.0 on an index" in hint
    with pytest.raises(UnsatisfiableError, match="asks for three, of which") as caught:
        solver("pypi: {dependencies: [three]}\n")
    assert (caught.value.hint or "").startswith("envlock builds nothing from source")


def test_what_a_package_needs_and_is_there_for_another_machine_only(
    index: Index, solver: Solver
) -> None:
    index.wheel("one", "1.0", ["two"])
    index.wheel("two", "2.0", tag="cp311-cp311-win_amd64")
    with pytest.raises(UnsatisfiableError, match="cannot all be met") as caught:
        solver("pypi: {dependencies: [one]}\n")
    assert "put a wheel of two==2.0 on an index" in (caught.value.hint or "")
    assert not any("--no-build" in line for line in caught.value.details)


def test_names_of_modules_and_builds_of_publishers(index: Index, solver: Solver) -> None:
    index.wheel("torch", "2.6.0")
    with pytest.raises(UnsatisfiableError, match="no index has PIL") as caught:
        solver("pypi: {dependencies: [PIL]}\n")
    assert (caught.value.hint or "").startswith("the module PIL comes with pillow; check how")
    with pytest.raises(UnsatisfiableError, match="no index has such a version") as caught:
        solver("pypi: {dependencies: ['torch==2.6.0+cu124']}\n")
    assert caught.value.hint == (
        "the newest that Python 3.11 on linux-64 can take is torch 2.6.0; 2.6.0+cu124 is a build "
        "that its publisher has on an index of its own: name that index under indexes, or ask for "
        "2.6.0"
    )
