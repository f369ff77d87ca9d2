"""Which lines a list item takes in the file of a spec."""

from __future__ import annotations

import pytest

from envlock.errors import Location
from envlock.spec.lines import item_lines

TEXT = """\
overrides:
  # why
  - package: a
    checks:
      - version: 1

  - package: b
    # inside
    because: text
      that goes on
checks: [x]
"""


def _at(line: int, text: str = TEXT) -> Location:
    shown = text.splitlines()[line - 1]
    return Location(file="f", line=line, column=shown.index("-") + 3, text=shown)


@pytest.mark.parametrize(("line", "found"), [(3, (3, 5)), (7, (7, 10))])
def test_one_of_several_items(line: int, found: tuple[int, int]) -> None:
    assert item_lines(TEXT, _at(line)) == found


def test_the_only_item_goes_with_its_key() -> None:
    text = "a: 1\nlist:\n\n- package: b\n  x: y\n# end\nb: 2\n"
    assert item_lines(text, _at(4, text)) == (2, 5)


def test_an_item_that_shares_its_line_has_none() -> None:
    text = "overrides: [{package: a}]"
    where = Location(file="f", line=1, column=13, text=text)
    assert item_lines(text, where) is None
