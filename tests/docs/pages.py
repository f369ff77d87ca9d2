"""The Markdown of the project as blocks, with the marks that say what a test does with each.

A mark is an HTML comment right above a fence::

    <!-- file: FILE -->                      the block is the file's content
    <!-- insert: FILE before TEXT -->        the block goes above the first line that is TEXT
    <!-- replace: FILE from TEXT to TEXT --> the block takes the place of the lines in between
    <!-- shows: FILE -->                     the block stands in the file, as it is
    <!-- network -->                         its commands need the real index
    <!-- large -->                           its commands fetch gigabytes, or what is newest today
    <!-- not run: REASON -->                 nobody runs its commands, for this reason
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_MARK = re.compile(r"<!--\s*(.*?)\s*-->\s*$", re.DOTALL)
_SHELLS = ("sh", "bash", "shell", "console")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command line, and what is shown of its output; None where nothing is."""

    line: str
    output: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fence: its language, its text, and the mark above it (empty without one)."""

    page: str
    line: int
    language: str
    text: str
    mark: str

    @property
    def steps(self) -> tuple[Step, ...]:
        """The commands in it: those behind ``$``, or all lines of a shell's block."""
        if _session(self):
            parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
            halves = (part.partition("\n") for part in parts)
            return tuple(Step(line=line, output=output) for line, _, output in halves)
        if self.language not in _SHELLS:
            return ()
        joined = self.text.replace("\\\n", " ")
        lines = (line.partition("  #")[0].strip() for line in joined.splitlines())
        return tuple(Step(line=line, output=None) for line in lines if line)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the fences of a page, in order."""
    found = []
    mark = ""
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "html_block":
            match = _MARK.search(token.content)
            mark = match[1] if match else ""
        elif token.type == "fence":
            assert token.map is not None
            found.append(
                Block(
                    page=str(page.relative_to(ROOT)),
                    line=token.map[0] + 1,
                    language=token.info.partition(" ")[0],
                    text=token.content,
                    mark=mark,
                )
            )
            mark = ""
        elif token.type not in ("list_item_open", "bullet_list_open", "ordered_list_open"):
            mark = ""
    return found


def _session(block: Block) -> bool:
    return block.language in ("console", "text") and block.text.startswith("$ ")
