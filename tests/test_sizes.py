from __future__ import annotations

import pytest

from envlock.sizes import counted, whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("9" * 19, 10**19 - 1), ("", None), ("-1", None), (" 1", None)]
    + [(text, None) for text in ("\u00b2", "\u0661", "1e3", "9" * 5000)],
)
def test_whole_numbers(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_numbers_of_things() -> None:
    assert [counted(n, "wheel") for n in (0, 1, 2)] == ["0 wheels", "1 wheel", "2 wheels"]
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]
