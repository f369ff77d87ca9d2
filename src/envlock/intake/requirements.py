"""``requirements.txt`` and constraint files, as pip reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.errors import Location, SpecError, UsageError
from envlock.intake.draft import Draft, requirement
from envlock.urls import carries_secret, redact

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.intake.draft import Item
    from envlock.intake.readers import Choices

_COMMENT = re.compile(r"(^|\s+)#.*$")
INCLUDE = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s+|=|(?<=^-[rc]))(\S.*)")
"""pip's ``-r FILE`` and ``-c FILE``: the option, and the file."""

_INDEX = re.compile(r"(-i|--index-url|--extra-index-url)(?:\s+|=)(\S+)")
_HASH = re.compile(r"\s+--hash(?:\s+|=)\S+")
_BY_PLACE = re.compile(r"(?:[a-z+]+://|\.{0,2}/|\S+\.(?:whl|tar\.gz|zip)$)")


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read a requirements file and those that it names; raises SpecError, UsageError."""
    draft = Draft(platforms=list(choices.platforms))
    constraints = path.name.startswith("constraints")
    read_into(draft, path, shown, draft.pypi, constraints=constraints)
    return draft


def read_into(
    draft: Draft, path: Path, shown: str, items: list[Item], *, constraints: bool = False
) -> None:
    """Add a file's requirements to ``items``, and to the draft what else it says.

    constraints: the file is one of pip's ``-c``.  Raises SpecError, UsageError.
    """
    reader = _Reader(draft, items)
    reader.file(path, shown, draft.pypi_constraints if constraints else items)


@dataclass(slots=True)
class _Reader:
    draft: Draft
    asked: list[Item]
    seen: set[Path] = field(default_factory=set)
    hashes: bool = False

    def file(self, path: Path, shown: str, items: list[Item]) -> None:
        if path.resolve() in self.seen:
            return
        self.seen.add(path.resolve())
        try:
            text = path.read_text("utf-8-sig")
        except OSError as error:
            raise UsageError(f"the file cannot be read: {error.strerror}", where=shown) from None
        except UnicodeDecodeError:
            raise UsageError("this is not UTF-8", where=shown) from None
        for number, line in _lines(text):
            location = Location(file=shown, line=number, column=1, text=line)
            self._line(line, location, path, items)

    def _line(self, line: str, location: Location, path: Path, items: list[Item]) -> None:
        if "${" in line:
            self.draft.note(location, "a variable in a requirement is not looked up")
            return
        if include := INCLUDE.fullmatch(line):
            other = path.parent / include[2].strip()
            into = self.asked if include[1] in ("-r", "--requirement") else None
            shown = str(location.file).rpartition("/")[0]
            shown = f"{shown}/{include[2].strip()}" if shown else include[2].strip()
            self.file(other, shown, self.draft.pypi_constraints if into is None else into)
        elif index := _INDEX.fullmatch(line):
            self._index(index[1], index[2], location)
        elif line.startswith("-") or _BY_PLACE.match(line) or " @ " in line:
            self.draft.note(location, f"{redact(line)}: it is no name of a package")
        else:
            bare = _HASH.sub("", line)
            if bare != line and not self.hashes:
                self.hashes = True
                self.draft.note(location, "hashes are left to the lock, which has its own")
            items.append(requirement(bare.strip(), location))

    def _index(self, option: str, url: str, location: Location) -> None:
        if carries_secret(url):
            raise SpecError(
                "the URL of an index carries a credential",
                location=Location(file=location.file, line=location.line, column=1),
                hint="remove it there, and put it into netrc, a keyring or config.toml",
            )
        if option != "--extra-index-url":
            self.draft.note(
                location, "the default index is the machine's: [indexes] in config.toml"
            )
            return
        names = {u: name for name, u in self.draft.indexes.items()}
        name = names.get(url) or f"extra-{len(names) + 1}"
        self.draft.indexes[name] = url
        if url not in names:
            self.draft.note(
                location,
                f"the index is called {name}, and is asked first for everything: give it a name, "
                "and the packages that come from it",
            )


def _lines(text: str) -> list[tuple[int, str]]:
    """Return (number, line) of lines that say something; a backslash joins two."""
    found: list[tuple[int, str]] = []
    begun: tuple[int, str] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = _COMMENT.sub("", raw)
        start, before = begun or (number, "")
        if line.endswith("\\"):
            begun = (start, before + line[:-1])
            continue
        begun = None
        found.append((start, (before + line).strip()))
    if begun is not None:
        found.append((begun[0], begun[1].strip()))
    return [(number, line) for number, line in found if line]
