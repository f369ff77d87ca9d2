"""What a word of a shell script means where only some variables are known.

POSIX.1-2017, Shell Command Language, 2.6 (expansions), the simple ones; the others stay as
written and make the result unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from envlock.solve.debian.shell_words import ShellError, end_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_PARAMETER = re.compile(r"\$(?:(\w+|[@*#])|\{(\w+|[@*#])(?:(:?-)([^{}`\"']*))?\})")
_ALL = {'"$@"': True, "$@": False, "$*": False}
"""Words that become all positional parameters; whether empty ones count."""

TEMPORARY = "/tmp/"  # noqa: S108 -- a name in scripts; nothing is opened
"""Where scripts have files that are gone when they end."""


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
        known = not word.startswith("~")
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
            output = self._output(piece[2:-1] if piece[0] == "$" else piece[1:-1])
            return Value(piece, known=False) if output is None else Value(output, known=True)
        return Value(piece, known=quoted or piece not in {"*", "?", "["})

    def _parameter(self, match: re.Match[str]) -> Value:
        value = self.get(match[1] or match[2])
        if value is None:
            return Value(match[0], known=False)
        return self.expand(match[4]) if match[3] and not value else Value(value, known=True)

    def _output(self, command: str) -> str | None:
        """Return what a command prints, where that is the same in every image."""
        try:
            words = [self.expand(word) for word in command.split()]
        except ShellError:  # a quotation with blank space in it
            return None
        match [text for text, _ in words]:
            case ["uname"] | ["uname", "-s"]:
                return "Linux"
            case ["mktemp" | "tempfile", *options] if not set("".join(options)) & set("/$|;&"):
                return f"{TEMPORARY}mktemp"
            case ["dpkg-divert", "--listpackage", _] if words[-1].known:
                return ""  # dpkg's database is new: nothing is diverted
            case ["dpkg-divert", "--truename", path] if words[-1].known:
                return path
        return None

    def fields(self, words: Iterable[str]) -> list[Value]:
        """Return several words expanded and split (2.6.5), ``"$@"`` as many."""
        found: list[Value] = []
        for word in words:
            value = self.expand(word)
            if word in _ALL and self.positional is not None:
                found += [Value(text, known=True) for text in self.positional if text or _ALL[word]]
            elif value.known and _PARAMETER.fullmatch(word):
                found += [Value(text, known=True) for text in value.text.split()]
            else:
                found.append(value)
        return found


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
