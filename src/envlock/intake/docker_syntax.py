"""A Dockerfile's instructions with their places, and variables put in where their value is known.

The reference for the format is Docker's "Dockerfile reference": continuation lines, comments
between them, the ``escape`` directive, here-documents, ``ARG`` and ``ENV`` substitution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z]+)\s*=\s*(\S+)\s*$")
_HEREDOC = re.compile(r"(?<!\S)[0-9]*<<-?(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1(?=[\s;&|>)]|$)")
"""A word of its own, as BuildKit reads it: neither a here-string nor a shift of bits."""
_VARIABLE = re.compile(r"\\\$|\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))")
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction.

    keyword: in capitals; text: what follows, on one line and without flags; flags: ``--from``
    and such; heredocs: the bodies of its here-documents; comment: the lines of comments right
    above it; lines: (number, text) of the lines that it stands in.
    """

    file: str
    keyword: str
    text: str
    flags: Mapping[str, str]
    heredocs: tuple[str, ...]
    comment: str
    lines: tuple[tuple[int, str], ...]

    def at(self, text: str = "") -> Location:
        """Return the first of its lines that has a text, the first one where none has."""
        for number, line in self.lines:
            column = line.find(text)
            if column >= 0:
                return Location(file=self.file, line=number, column=column + 1, text=line)
        number, line = self.lines[0]
        return Location(file=self.file, line=number, column=1, text=line)


def instructions(text: str, shown: str) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile's text, from the top."""
    lines = list(enumerate(text.splitlines(), 1))
    escape = _escape(lines)
    comment: list[str] = []
    position = 0
    while position < len(lines):
        bare = lines[position][1].strip()
        if not bare or bare.startswith("#"):
            comment = [*comment, bare.lstrip("#").strip()] if bare else []
            position += 1
            continue
        start = position
        joined, position = _joined(lines, position, escape)
        heredocs, position = _heredocs(joined, lines, position)
        keyword, _, rest = joined.strip().partition(" ")
        flags, rest = _flags(rest.strip())
        yield Instruction(
            file=shown,
            keyword=keyword.upper(),
            text=rest,
            flags=flags,
            heredocs=heredocs,
            comment=" ".join(comment),
            lines=tuple(lines[start:position]),
        )
        comment = []


def substitute(text: str, known: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the text with variables put in, and the first one whose value is not known.

    ``${NAME:-word}`` and ``${NAME:+word}`` are understood; ``\\$`` stays a dollar.
    """
    missing: list[str] = []

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[4]
        if name is None:
            return "$"
        if match[2] == "+":
            return match[3] if known.get(name) else ""
        if known.get(name):
            return known[name]
        if match[2] == "-":
            return str(match[3])
        if name not in known:
            missing.append(name)
        return known.get(name, match[0])

    return _VARIABLE.sub(value, text), missing[0] if missing else None


def _escape(lines: list[tuple[int, str]]) -> str:
    """Return the line continuation: directives stand before everything else."""
    for _, line in lines:
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape" and match[2] in ("\\", "`"):
            return match[2]
    return "\\"


def _joined(lines: list[tuple[int, str]], position: int, escape: str) -> tuple[str, int]:
    """Return an instruction's lines as one, and where the next one begins."""
    found = ""
    first = position
    while position < len(lines):
        line = lines[position][1]
        position += 1
        if position - 1 > first and (not line.strip() or line.lstrip().startswith("#")):
            continue
        stripped = line.rstrip()
        if not stripped.endswith(escape):
            return found + line, position
        found += stripped[: -len(escape)]
    return found, position


def _heredocs(
    joined: str, lines: list[tuple[int, str]], position: int
) -> tuple[tuple[str, ...], int]:
    if not joined.lstrip()[:5].upper().startswith(("RUN", "COPY", "ADD")):
        return (), position
    bodies = []
    for match in _HEREDOC.finditer(joined):
        body = []
        while position < len(lines) and lines[position][1].lstrip("\t") != match[2]:
            body.append(lines[position][1])
            position += 1
        position = min(position + 1, len(lines))
        bodies.append("\n".join(body))
    return tuple(bodies), position


def _flags(text: str) -> tuple[dict[str, str], str]:
    found = {}
    while match := _FLAG.match(text):
        found[match[1]] = match[2] or ""
        text = text[match.end() :]
    return found, text
