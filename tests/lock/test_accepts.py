"""The grammar of ``accepts``: breakage that the audit finds, and checks that fail."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.lock.accepts import accepted_failures, check_words, failing_check


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("torch-compile fails", {"gpu": "torch-compile"}),
        ("import a.b fails", {"import": "a.b"}),
        ("run python3 -c 'import x needs y' fails", {"run": ["python3", "-c", "import x needs y"]}),
        ("gpu nvidia-smi fails", {"gpu": ["nvidia-smi"]}),
    ],
)
def test_a_check_is_named_as_the_spec_writes_it(text: str, check: dict[str, object]) -> None:
    assert failing_check(text) == check_words(check)


def test_audit_patterns_are_left_to_the_audit() -> None:
    assert failing_check("torch._inductor needs triton.compiler.compiler.triton_key") is None
    assert failing_check("* needs lib.fails") is None


@pytest.mark.parametrize(
    "text", ["torch-compile fail", "needs b", "a needs ", " needs ", " fails", "run 'x fails", ""]
)
def test_neither(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        failing_check(text)


@given(st.lists(st.text(min_size=1), min_size=1))
def test_any_command_can_be_named(argv: list[str]) -> None:
    assert failing_check(f"{shlex.join(['run', *argv])} fails") == check_words({"run": argv})


def test_what_has_no_name() -> None:
    assert check_words({"version": "1"}) == ()
    assert check_words({}) == ()


def test_of_a_projection() -> None:
    spec = {
        "accepts": ["import a fails", "a needs b"],
        "overrides": [{"package": "triton", "accepts": ["torch-compile fails", "run 'x fails"]}],
    }
    found = [(one.check, one.override) for one in accepted_failures(spec)]
    assert found == [(("import", "a"), None), (("torch-compile",), "triton")]
