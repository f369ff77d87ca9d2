"""The words of shell scripts, as written.

POSIX.1-2017, Shell Command Language, 2.2 (quoting) and 2.3 (token recognition).
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

_OPERATORS = ("&&", "||", ";;", ";", "&", "|", "(", ")")
_REDIRECT = re.compile(r"[0-9]*(&>>?|<<-|<<|<&|<>|<|>>|>&|>\||>)")
_BLANK = re.compile(r"(?:[ \t]|\\\n)+")
_SPECIAL = "\\'\"`$"
_END_OF_WORD = " \t\n;&|()<>"


class ShellError(Exception):
    """The text is not the shell that this reader knows."""


class Token(NamedTuple):
    """``word`` keeps its quotes; ``redirect`` is an operator whose target is the next word."""

    kind: Literal["word", "operator", "redirect", "newline"]
    text: str


def end_of(text: str, start: int) -> int:
    """Return where the quoted or expanded piece that begins at ``start`` ends.

    A piece is an escape, a quotation, ``$(...)``, ``${...}``, a backquoted command or one
    character.  Raises ShellError where it never ends.
    """
    character = text[start]
    if character == "\\":
        return start + 2
    if character == "'":
        end = text.find("'", start + 1)
        if end < 0:
            raise ShellError("a quotation that never ends")
        return end + 1
    if character in '`"':
        return _closing(text, start + 1, character, "", "\\" if character == "`" else "\\$`")
    if text.startswith("$(", start):
        return _closing(text, start + 2, ")", "(", _SPECIAL)
    if text.startswith("${", start):
        return _closing(text, start + 2, "}", "{", _SPECIAL)
    return start + 1


def _closing(text: str, position: int, close: str, again: str, special: str) -> int:
    """Return the position after the ``close`` that matches, over ``special`` pieces."""
    depth = 1
    while position < len(text):
        character = text[position]
        if character == close:
            depth -= 1
            if not depth:
                return position + 1
        elif character == again:
            depth += 1
        elif character in special:
            position = end_of(text, position)
            continue
        position += 1
    raise ShellError(f"a {close} is missing")


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a script, without comments and here-documents.

    A command substituted into a here-document is not seen.
    """
    tokens: list[Token] = []
    heredocs: list[str] = []
    position = 0
    while position < len(text):
        if blank := _BLANK.match(text, position):
            position = blank.end()
        elif text[position] == "#":
            position = _line_end(text, position)
        elif text[position] == "\n":
            tokens.append(Token("newline", "\n"))
            position += 1
            while heredocs:
                position = _skip_heredoc(text, position, heredocs.pop(0))
        elif redirect := _REDIRECT.match(text, position):
            tokens.append(Token("redirect", redirect[1]))
            position = redirect.end()
        elif operator := next((o for o in _OPERATORS if text.startswith(o, position)), None):
            tokens.append(Token("operator", operator))
            position += len(operator)
        else:
            end = _word_end(text, position)
            word = text[position:end]
            if tokens and tokens[-1] in {Token("redirect", "<<"), Token("redirect", "<<-")}:
                heredocs.append(re.sub(r"['\"\\]", "", word))
            tokens.append(Token("word", word))
            position = end
    return tokens


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _word_end(text: str, position: int) -> int:
    while position < len(text) and text[position] not in _END_OF_WORD:
        position = end_of(text, position)
    return min(position, len(text))


def _skip_heredoc(text: str, position: int, delimiter: str) -> int:
    while position < len(text):
        end = _line_end(text, position)
        line = text[position:end]
        position = end + 1
        if line.strip("\t") == delimiter:
            return position
    raise ShellError(f"the here-document {delimiter} never ends")
