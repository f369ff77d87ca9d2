"""``requirements.txt`` and constraint files, as pip reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.errors import Location, SpecError, UsageError
from envlock.intake.draft import Draft, requirement
from envlock.intake.indexes import add_index
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
_BY_PLACE = re.compile(r"(?:[a-z+]+://|git@|\.{0,2}/|\.$|\S+\.(?:whl|tar\.gz|zip)$)")
_REASONS = (
    (re.compile(r"-e\b|--editable\b|[^-]"), "it is no name of a package"),
    (re.compile(r"(?:-f|--find-links)\b"), "wheels come from indexes: name one under indexes:"),
    (re.compile(r"--pre\b"), "a pre-release is asked for by its version: name==2.0rc1"),
    (re.compile(r"-"), "an option of pip's for which a spec has no word"),
)
"""Lines that are no requirements, and why they are not carried over."""


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
    reader = PipReader(draft, items)
    reader.file(path, shown, draft.pypi_constraints if constraints else items)


@dataclass(slots=True)
class PipReader:
    """Reads lines as pip does; asked: where requirements go."""

    draft: Draft
    asked: list[Item]
    seen: set[Path] = field(default_factory=set)
    hashes: bool = False

    def file(
        self, path: Path, shown: str, items: list[Item], named: Location | None = None
    ) -> None:
        """Read a file; named: where another one names it."""
        if path.resolve() in self.seen:
            return
        self.seen.add(path.resolve())
        try:
            text = path.read_text("utf-8-sig")
        except OSError as error:
            raise UsageError(
                f"the file cannot be read: {error.strerror}",
                where=shown,
                hint=f"{named} names it" if named else None,
            ) from None
        except UnicodeDecodeError:
            raise UsageError("this is not UTF-8", where=shown) from None
        for number, line in _lines(text):
            location = Location(file=shown, line=number, column=1, text=line)
            self.line(line, location, path, items)

    def line(
        self, line: str, location: Location, path: Path, items: list[Item] | None = None
    ) -> None:
        """Read one line of ``path``; items: where its requirement goes, if it is not asked for."""
        if "${" in line:
            self.draft.note(location, "a variable in a requirement is not looked up")
            return
        if include := INCLUDE.fullmatch(line):
            other = path.parent / include[2].strip()
            asked = include[1] in ("-r", "--requirement")
            into = self.asked if asked else self.draft.pypi_constraints
            shown = str(location.file).rpartition("/")[0]
            shown = f"{shown}/{include[2].strip()}" if shown else include[2].strip()
            self.file(other, shown, into, location)
        elif index := _INDEX.fullmatch(line):
            self._index(index[1], index[2], location)
        elif line.startswith("-") or _BY_PLACE.match(line) or " @ " in line:
            self.draft.note(location, f"{redact(line)}: {_reason(line)}")
        else:
            self._requirement(line, location, self.asked if items is None else items)

    def _requirement(self, line: str, location: Location, items: list[Item]) -> None:
        bare = _HASH.sub("", line)
        if bare != line and not self.hashes:
            self.hashes = True
            self.draft.note(location, "hashes are left to the lock, which has its own")
        bare, _, options = bare.partition(" --")
        if options:
            self.draft.note(location, f"--{redact(options)}: it is about builds, and only wheels "
                            "are installed")  # fmt: skip
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
        known = set(self.draft.indexes)
        name = add_index(self.draft.indexes, url, location)
        if name not in known:
            self.draft.note(
                location,
                f"the index is called {name}, and is asked first for everything: say which "
                "packages come from it",
            )


def _reason(line: str) -> str:
    return next(reason for pattern, reason in _REASONS if pattern.match(line))


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
