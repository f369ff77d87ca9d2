"""What a word of a shell script means where only some variables are known.

POSIX.1-2017, Shell Command Language, 2.6 (expansions), the simple ones; the others stay as
written and make the result unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from envlock.solve.debian.shell_words import end_of

_PARAMETER = re.compile(r"\$(?:(\w+|[@*#])|\{(\w+|[@*#])(?:(:?-)([^{}$`\"']*))?\})")
_COMMAND_OUTPUT = {"uname -s": "Linux", "uname": "Linux"}
"""Commands whose output is the same in every image."""


class Value(NamedTuple):
    """The text of a word, and whether it is all of it."""

    text: str
    known: bool


@dataclass(slots=True)
class Variables:
    """The variables and positional parameters that are known; None where they no longer are."""

    named: dict[str, str] = field(default_factory=dict)
    positional: list[str] | None = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """Return a parameter's value, or None if it is unknown."""
        if not (name.isdigit() or name in {"@", "*", "#"}):
            return self.named.get(name)
        if self.positional is None or name == "0":
            return None
        if name == "#":
            return str(len(self.positional))
        if name.isdigit():
            number = int(name)
            return self.positional[number - 1] if number <= len(self.positional) else ""
        return " ".join(self.positional)

    def expand(self, word: str) -> Value:
        """Return a word without its quotes and with the known variables in their place."""
        known = True
        parts: list[str] = []
        position, quoted = 0, False
        while position < len(word):
            character = word[position]
            if character == '"':
                quoted = not quoted
                position += 1
                continue
            end = position + 1 if quoted and character == "'" else end_of(word, position)
            if character == "$" and (match := _PARAMETER.match(word, position)):
                end = match.end()
            piece = self._piece(word[position:end], quoted)
            parts.append(piece.text)
            known &= piece.known
            position = end
        return Value("".join(parts), known or word == "[")

    def _piece(self, piece: str, quoted: bool) -> Value:
        """Expand one piece as :func:`end_of` cuts them."""
        if piece[0] == "\\" and len(piece) == 2:
            keep = quoted and piece[1] not in '$`"\\'
            return Value(piece if keep else piece[1].replace("\n", ""), known=True)
        if piece[0] == "'" and not quoted:
            return Value(piece[1:-1], known=True)
        if match := _PARAMETER.fullmatch(piece):
            return self._parameter(match)
        if piece[0] in "$`" and len(piece) > 1:
            inner = piece[2:-1] if piece[0] == "$" else piece[1:-1]
            output = _COMMAND_OUTPUT.get(inner.strip())
            return Value(piece, known=False) if output is None else Value(output, known=True)
        return Value(piece, known=quoted or piece not in {"*", "?", "[", "~"})

    def _parameter(self, match: re.Match[str]) -> Value:
        value = self.get(match[1] or match[2])
        if value is None:
            return Value(match[0], known=False)
        if match[3] and not value:
            value = match[4]
        return Value(value, known=True)


def substitutions(word: str) -> list[str]:
    """Return the commands in a word's ``$(...)`` and backquotes, outermost only."""
    found: list[str] = []
    position, quoted = 0, False
    while position < len(word):
        character = word[position]
        if character == '"':
            quoted, position = not quoted, position + 1
            continue
        end = position + 1 if quoted and character == "'" else end_of(word, position)
        piece = word[position:end]
        if piece.startswith("$((") and piece.endswith("))"):
            found += substitutions(piece[3:-2])
        elif piece.startswith("$("):
            found.append(piece[2:-1])
        elif piece.startswith("${"):
            found += substitutions(piece[2:-1])
        elif piece[0] == "`" and len(piece) > 1:
            found.append(re.sub(r"\\([\\`$])", r"\1", piece[1:-1]))
        position = end
    return found
