"""Lines on a terminal: they fit by words, marks are coloured, and what is to be copied stays."""

from __future__ import annotations

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.cli.output import Output
from envlock.cli.terminal import fitted, painted, wants_colour, width_of
from envlock.errors import EnvlockError

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A terminal that remembers what was written."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 40 characters."""
    made = Terminal()
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    return made


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("short", "short"),
        (
            "error: there is no environment of that name here",
            "error: there is no environment of that\n  name here",
        ),
        (
            "  ok    import a.very.long.module.name.indeed 5.4 s",
            "  ok    import\n        a.very.long.module.name.indeed\n        5.4 s",
        ),
        (
            "│   ├── app 1.0 requires engine==2.0; voided by the override",
            "│   ├── app 1.0 requires engine==2.0;\n│   │   voided by the override",
        ),
        (
            "    └── the spec (pypi.dependencies) asks for app",
            "    └── the spec (pypi.dependencies)\n        asks for app",
        ),
        (
            "21 | dependencies: [a-very-long-line, that, is, quoted]",
            "21 | dependencies: [a-very-long-line, that, is, quoted]",
        ),
        (f"sha256:{'0' * 64}", f"sha256:{'0' * 64}"),
    ],
)
def test_a_long_line_goes_on_below_its_text(line: str, wanted: str) -> None:
    assert fitted(line, 40) == wanted
    assert fitted(line, None) == line


_words = st.lists(st.text(st.characters(categories=["L", "P"]), min_size=1, max_size=12))


@given(_words.map(" ".join), st.sampled_from(["", "  ", "├── ", "  ok    "]), st.integers(1, 120))
def test_no_word_is_lost_or_broken(text: str, lead: str, width: int) -> None:
    found = fitted(lead + text, width)
    assert [word for word in found.split() if word != "│"] == [
        word for word in (lead + text).split() if word != "│"
    ]
    for line in found.split("\n"):
        assert len(line) <= max(width, 20) or len(line.split()) <= 3


def test_marks_are_coloured_and_nothing_else_is() -> None:
    lines = "  ok    import a\n  FAIL  run b\n  + numpy 2\n- package: x\n  oks"
    found = painted(lines, colour=True)
    assert COLOUR.sub("", found) == lines
    assert len(COLOUR.findall(found)) == 6
    assert painted(lines, colour=False) == lines


@pytest.mark.parametrize(
    ("variables", "terminal_there", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_when_there_are_colours(
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    terminal_there: bool,
    coloured: bool,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = terminal if terminal_there else io.StringIO()
    assert wants_colour(stream) is coloured


def test_a_pipe_has_no_width(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert width_of(terminal) == 40
    assert width_of(io.StringIO()) is None
    monkeypatch.setenv("COLUMNS", "wide")
    assert width_of(terminal) is None  # it has no file descriptor to ask


def test_what_is_to_be_pasted_stays_as_it_is(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    yaml = '  - {package: triton, version: "==2.3.1", because: a test needs it}'
    error = EnvlockError("wrong", details=["  a detail that is longer than the line has room"])
    error.hint = f"write\n{yaml}"
    Output().problem(error)
    lines = COLOUR.sub("", terminal.getvalue()).splitlines()
    assert yaml in lines
    assert lines[:3] == ["error: wrong", "  a detail that is longer than the line", "    has room"]
    Output().result(f"{yaml}\n  + x", verbatim=True)
    assert terminal.getvalue().endswith(f"{yaml}\n  + x\n")


def test_messages_beside_a_display_are_the_same(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    output = Output()
    with output.task("fetching", 10, "bytes") as task:
        task.advance(5)
        output.warn("a warning that is longer than the line has room")
        output.close()
        with output.task("more"):  # by a thread that goes on
            pass
    output.close()
    shown = COLOUR.sub("", terminal.getvalue())
    assert "warning: a warning that is longer than\n  the line has room\n" in shown
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 2
