from __future__ import annotations

import pytest

from envlock.validate.reply import new_mark, reply_after


def test_the_last_line_with_the_mark_counts() -> None:
    mark = new_mark()
    said = f'printed\n{mark}{{"a": 1}}\n{mark}{{"a": 2}}\nmore'.encode()
    assert reply_after(mark, said) == {"a": 2}


@pytest.mark.parametrize("reply", ["", "{", "[1]", "[" * 100_000, "1" * 10_000, '"\\ud800'])
def test_what_is_no_reply(reply: str) -> None:
    assert reply_after("mark:", f"\nmark:{reply}\n".encode()) is None
    assert reply_after("mark:", reply.encode()) is None
