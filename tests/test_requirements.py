from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.lock.model import VoidedRequirement
from envlock.platforms import PLATFORMS
from envlock.requirements import Installed, Verdict, check_requirements

TARGET = PLATFORMS["linux-64"].marker_environment("3.11")


def have(name: str, version: str, *requires: str) -> Installed:
    return Installed(name=name, version=version, requires=requires)


def void(dependent: str, requirement: str) -> VoidedRequirement:
    return VoidedRequirement(dependent=dependent, version="1", requirement=requirement)


def check(*installed: Installed, voided: tuple[VoidedRequirement, ...] = ()) -> Verdict:
    return check_requirements(installed, TARGET, voided=voided)


def texts(verdict: Verdict) -> list[str]:
    return [str(violation) for violation in verdict.violations]


TORCH = have("torch", "2.6.0", "triton==3.2.0; platform_system == 'Linux'", "sympy")


def test_held_and_violated() -> None:
    verdict = check(TORCH, have("triton", "2.3.1"))
    assert not verdict.ok
    assert texts(verdict) == [
        "torch 2.6.0 requires triton==3.2.0, has 2.3.1",
        "torch 2.6.0 requires sympy, it is not installed",
    ]


@pytest.mark.parametrize("requirement", ["triton==3.2.0", "Triton == 3.2.0 ; os_name == 'posix'"])
def test_a_listed_void_is_allowed(requirement: str) -> None:
    verdict = check(
        TORCH, have("triton", "2.3.1"), have("sympy", "1"), voided=(void("Torch", requirement),)
    )
    assert verdict.ok
    assert verdict.held == 1
    assert [str(item) for item in verdict.voided] == [
        "torch 2.6.0 requires triton==3.2.0, has 2.3.1"
    ]
    assert not verdict.unused


@pytest.mark.parametrize(
    "other", [void("torch", "triton==3.2.1"), void("vision", "triton==3.2.0"), void("torch", "x")]
)
def test_another_void_does_not_help(other: VoidedRequirement) -> None:
    verdict = check(TORCH, have("triton", "2.3.1"), have("sympy", "1"), voided=(other,))
    assert len(verdict.violations) == 1
    assert verdict.unused == (other,)


def test_a_void_that_is_not_needed_is_told() -> None:
    needless = void("torch", "triton==3.2.0")
    verdict = check(TORCH, have("triton", "3.2.0"), have("sympy", "1"), voided=(needless,))
    assert verdict.ok
    assert verdict.unused == (needless,)


def test_markers_of_the_target_decide() -> None:
    verdict = check(
        have(
            "a",
            "1",
            "b; sys_platform == 'win32'",
            "c; python_version < '3.11'",
            "d>1; extra == 'x'",
        )
    )
    assert verdict.ok
    assert verdict.held == 0


def test_extras_are_followed_from_requirement_to_requirement() -> None:
    verdict = check(
        have("a", "1", "b[Fast_Path]"),
        have("b", "1", "c[deep]; extra == 'fast-path'", "no; extra == 'other'"),
        have("c", "1", "missing>=2; extra == 'deep'"),
    )
    assert texts(verdict) == ["c 1 requires missing>=2, it is not installed"]


def test_extras_of_the_spec() -> None:
    installed = [have("a", "1", "missing; extra == 'x'")]
    assert check_requirements(installed, TARGET).ok
    verdict = check_requirements(installed, TARGET, roots=["A[x]>=1", "not a requirement !"])
    assert len(verdict.violations) == 1
    assert len(verdict.malformed) == 1


def test_versions() -> None:
    assert check(have("a", "1", "b>=1"), have("b", "2.0rc1")).ok
    assert check(have("a", "1", "b==2.6.0"), have("b", "2.6.0+cu124")).ok
    assert check(have("a", "1", "B_x @ https://example.com/b.whl"), have("b.X", "1")).ok
    assert not check(have("a", "1", "b==2.6.0+cu121"), have("b", "2.6.0+cu124")).ok


def test_malformed_metadata_fails_and_is_named() -> None:
    verdict = check(have("a", "banana", "b (>=1", "c"), have("c", "apple"))
    assert not verdict.ok
    assert len(verdict.malformed) == 3


def test_brackets_without_an_end_are_malformed() -> None:
    verdict = check(have("a", "1", "b; " + "(" * 10_000))
    assert len(verdict.malformed) == 1
    assert verdict.malformed[0].endswith("its marker has too many brackets in each other")


def test_the_first_of_two_counts() -> None:
    assert check(have("a", "1", "b==1"), have("b", "1"), have("B", "2")).ok


@given(st.lists(st.tuples(st.text(), st.text(), st.lists(st.text(), max_size=3)), max_size=4))
def test_no_metadata_breaks_the_checker(items: list[tuple[str, str, list[str]]]) -> None:
    check(*(have(name, version, *requires) for name, version, requires in items))
