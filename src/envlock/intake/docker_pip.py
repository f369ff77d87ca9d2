"""The pip steps of a Dockerfile, one after the other, as one set of wishes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envlock.intake.draft import Forced, requirement
from envlock.intake.indexes import add_index
from envlock.intake.installers import TOOLS
from envlock.intake.requirements import read_into
from envlock.requirements import parse_requirement
from envlock.urls import carries_secret, redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.errors import Location
    from envlock.intake.docker_syntax import Instruction
    from envlock.intake.draft import Draft, Item
    from envlock.intake.shell_lines import Command, PipCall

_TOOLS = frozenset({"pip", "uv", "pip-tools", "wheel"})


@dataclass(slots=True)
class PipSteps:
    """Takes the steps in their order: where two ask for one package, the later one decides."""

    draft: Draft
    folder: Path
    copied: Mapping[str, str]
    wanted: dict[str, Item] = field(default_factory=dict)
    for_later: bool = False

    def take(self, one: Instruction, call: PipCall, command: Command) -> None:
        """Take one call of pip; raises SpecError, UsageError."""
        said = (call.index, *call.extra_indexes, *call.requirements, *call.files, command.words[0])
        place = one.at(next(text for text in said if text))
        for text in command.torn:
            self.draft.note(
                one.at(text.partition(">")[0].partition("<")[0]),
                f"{text} stands without quotes: the shell takes the rest for a file's name",
            )
        self.for_later = self.for_later or call.for_later
        for path in call.places:
            if self.for_later and "*" in path:
                continue  # what an earlier step put there: its requirements are taken already
            self.draft.note(one.at(path.split()[-1]), f"{redact(path)}: it is no name of a package")
        for option in call.left:
            self.draft.note(place, f"{redact(option)}: it has no meaning here")
        for name in call.removed:
            self._remove(canonicalize_name(name), one.at(name))
        named = self._named(one, call)
        self._files(call, place)
        self._indexes(call, named, place)

    def finish(self) -> None:
        """Put what all the steps ask for into the draft."""
        self.draft.pypi.extend(self.wanted.values())

    def _named(self, one: Instruction, call: PipCall) -> list[str]:
        """Take the requirements of the command line, and return the names of those packages."""
        names = []
        for text in call.requirements:
            if "$" in text:
                self.draft.note(one.at(text), f"{text}: the value of the variable is not known")
                continue
            item = requirement(text, one.at(text))
            if item.name in TOOLS:
                self.draft.note(one.at(text), f"{item.name}: it only installs others")
            if item.name in _TOOLS | TOOLS:
                continue
            names.append(item.name)
            pin = pinned_version(item.text)
            if call.forced and pin:
                self._force(one, item, pin)
            else:
                self._want(item)
        return names

    def _force(self, one: Instruction, item: Item, version: str) -> None:
        self.wanted.pop(item.name, None)
        self.draft.forced = [other for other in self.draft.forced if other.package != item.name]
        self.draft.forced.append(
            Forced(package=item.name, version=version, where=item.where, because=one.comment)
        )

    def _want(self, item: Item) -> None:
        old = self.wanted.get(item.name)
        bare = not Requirement(item.text).specifier
        if old is not None and bare:
            return
        if old is not None and old.text != item.text and Requirement(old.text).specifier:
            self.draft.note(item.where, f"{item.text} takes the place of {old.text} ({old.where})")
        self.draft.forced = [other for other in self.draft.forced if other.package != item.name]
        self.wanted[item.name] = item

    def _remove(self, name: str, location: Location) -> None:
        self.wanted.pop(name, None)
        if name not in _TOOLS:
            self.draft.exclude.append(name)
            self.draft.note(location, f"{name} is uninstalled, and so is under pypi.exclude")

    def _files(self, call: PipCall, place: Location) -> None:
        for paths, constraints in ((call.files, False), (call.constraints, True)):
            for path in paths:
                items: list[Item] = []
                file = self._local(path)
                if file is None:
                    self.draft.note(place, f"{path} is not beside the Dockerfile, and so not read")
                    continue
                read_into(self.draft, self.folder / file, file, items, constraints=constraints)
                for item in items:
                    self._want(item)

    def _local(self, path: str) -> str | None:
        """Return the file of the context that a path in the image stands for."""
        for place in (path, path.removeprefix("./"), path.rpartition("/")[2]):
            source = self.copied.get(place, "" if place.startswith("/") else place)
            if source and (self.folder / source).is_file():
                return source
        return None

    def _indexes(self, call: PipCall, named: Sequence[str], place: Location) -> None:
        for url in (call.index, *call.extra_indexes):
            if url is None:
                continue
            if carries_secret(url) or "$" in url:
                self.draft.note(
                    place, "the URL of an index has a credential or a variable in it: name the "
                    "index in the spec, and put its login into netrc, a keyring or config.toml"
                )  # fmt: skip
            elif url == call.index and url.rstrip("/").endswith("/simple"):
                self.draft.note(
                    place, "the default index is the machine's: [indexes] in config.toml"
                )
            else:
                self._index(url, named, place)

    def _index(self, url: str, named: Sequence[str], place: Location) -> None:
        name = add_index(self.draft.indexes, url, place)
        packages = self.draft.index_packages.setdefault(name, [])
        packages.extend(one for one in named if one not in packages)
        self.draft.note(
            place,
            f"the index is called {name}, and has {', '.join(packages)}"
            if packages
            else f"the index is called {name}, and is asked first for everything: name the "
            "packages that come from it",
        )


def pinned_version(text: str) -> str | None:
    """Return the version of an exact pin."""
    try:
        specifiers = list(parse_requirement(text).specifier)
    except InvalidRequirement:
        return None
    exact = len(specifiers) == 1 and specifiers[0].operator in ("==", "===")
    version = specifiers[0].version if exact else ""
    return version if exact and "*" not in version else None
