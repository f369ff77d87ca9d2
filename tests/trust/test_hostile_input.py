"""Specs and locks that nobody means well with: an error with a place, and never a traceback.

A lock is sealed anew after each change: seals tell accidents, they are no signatures.
``scripts/hostile`` tries as many as one has time for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .values import COMMANDS, SPECS, Bench, locks, specs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch.setenv)


@pytest.mark.parametrize("text", SPECS)
def test_a_spec(bench: Bench, text: bytes) -> None:
    bench.spec(text)
    code, said = bench.run("solve", "--check")
    assert code == 2, said
    assert "one.yaml" in said


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("spec", "overrides", 0), {}),
        (("spec", "overrides", 0, "package"), None),
        (("spec", "pypi", "dependencies", 0), "../../etc/passwd"),
        (("artifacts", 0, "depends"), ["\u202e"]),
        (("overrides", 0, "voids", 0, "dependent"), 10**40),
        (("overrides", 0, "voids", 0, "requirement"), "a >"),
        (("debian", "indexes", 0, "date"), {}),
        (("artifacts", 0, "file"), "../../../etc/passwd"),
        (("artifacts", 0, "size"), 1e308),
        (("name",), "../one"),
        (("artifacts", 0, "name"), "a\x1b[31m"),
    ],
)
@pytest.mark.parametrize(
    "command", [("why", "one", "torch"), ("export", "one", "--format", "spdx")]
)
def test_a_lock(
    bench: Bench, place: tuple[str | int, ...], value: object, command: tuple[str, ...]
) -> None:
    bench.lock(place, value)
    code, said = bench.run(*command)
    assert code in {0, 1, 2, 3}, said


def test_more_of_both_in_turns(bench: Bench) -> None:
    """A few of what the script tries."""
    tried = [*bench.sweep(locks(1), 6), *bench.sweep(specs(1), 8)]
    assert [one for one in tried if one.wrong] == []
    assert {one.command for one in tried} & {*COMMANDS}
