"""``environment.yml``, as conda reads it: match specs, and a ``pip:`` list among them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from envlock.errors import Location, SpecError
from envlock.intake.channels import add_channel
from envlock.intake.draft import Draft, Item, requirement
from envlock.intake.requirements import INCLUDE, read_into
from envlock.platforms import PLATFORMS
from envlock.spec.document import read_document
from envlock.spec.matchspec import match_name, placed, refusal
from envlock.urls import carries_secret, redact

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.intake.readers import Choices
    from envlock.spec.document import Document

_SELECTOR = re.compile(r"\s#.*\[\s*(not\s+)?([a-z0-9_]+)\s*\]\s*$")
_SELECTORS = {
    "linux-64": {"linux", "linux64", "unix", "x86_64", "x86"},
    "linux-aarch64": {"linux", "aarch64", "unix"},
}
_OTHERS = {"win", "win32", "win64", "osx", "osx64", "arm64", "ppc64le", "s390x"}
_OPTION = re.compile(r"-{1,2}[A-Za-z]")
_BY_PLACE = re.compile(r"(?:[a-z+]+://|git@|\.{0,2}/|\.$)")


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read an environment file; raises SpecError, UsageError."""
    return _Reader(read_document(path, shown), path.parent, choices).draft()


@dataclass(slots=True)
class _Reader:
    document: Document
    folder: Path
    choices: Choices

    def draft(self) -> Draft:
        value = self.document.value
        if not isinstance(value, dict) or not isinstance(value.get("dependencies"), list):
            raise SpecError(
                "this is no environment file: it has no list of dependencies",
                location=self._at(("dependencies",)),
            )
        draft = Draft(name=self._text(("name",)) if value.get("name") else None)
        draft.platforms = self._platforms(draft)
        self._channels(draft)
        self._variables(draft)
        for n, entry in enumerate(value["dependencies"]):
            self._entry(draft, n, entry)
        self._others(draft)
        return draft

    def _at(self, place: tuple[str | int, ...]) -> Location:
        return self.document.mark(place).value

    def _text(self, place: tuple[str | int, ...]) -> str:
        value: Any = self.document.value
        for key in place:
            value = value[key]
        if isinstance(value, str):
            return value
        raw = self.document.mark(place).raw
        raise SpecError(
            f"{raw or 'nothing'} is no text to YAML",
            location=self._at(place),
            hint=f'write it in quotes: "{raw}"' if raw else None,
        )

    def _texts(self, key: str) -> list[tuple[str, Location]]:
        value = self.document.value.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise SpecError(f"{key} must be a list", location=self._at((key,)))
        return [(self._text((key, n)), self._at((key, n))) for n in range(len(value))]

    def _platforms(self, draft: Draft) -> list[str]:
        known = []
        for name, location in self._texts("platforms"):
            if name in PLATFORMS:
                known.append(name)
            else:
                draft.note(location, f"the platform {name} is not one that envlock builds for")
        return list(self.choices.platforms) or known

    def _channels(self, draft: Draft) -> None:
        found = self._texts("channels")
        for text, location in found:
            add_channel(draft, text, location)
        if not draft.channels:
            draft.channels["conda-forge"] = None
            draft.note(self._at(("channels",)), "no channels are named: conda-forge is taken")

    def _variables(self, draft: Draft) -> None:
        value = self.document.value.get("variables") or {}
        if not isinstance(value, dict):
            raise SpecError("variables must be a mapping", location=self._at(("variables",)))
        for key, text in value.items():
            mark = self.document.mark(("variables", key))
            if isinstance(text, dict | list):
                raise SpecError(f"the variable {key} must be a text", location=mark.value)
            if carries_secret(mark.raw):
                draft.note(
                    mark.value,
                    f"the variable {key} has a credential in it: give it to the container when it "
                    "starts",
                )
                continue
            draft.env[key] = mark.raw

    def _entry(self, draft: Draft, n: int, entry: object) -> None:
        place = ("dependencies", n)
        if not isinstance(entry, dict):
            if self._applies(draft, self._at(place)):
                self._conda(draft, self._text(place), self._at(place))
            return
        for key, value in entry.items():
            if key != "pip":
                draft.note(self._at((*place, key)), f"{key}: is not known here")
                continue
            if not isinstance(value, list | None):
                raise SpecError("pip must be a list", location=self._at((*place, key)))
            for m in range(len(value or ())):
                here = (*place, key, m)
                if self._applies(draft, self._at(here)):
                    self._pip(draft, self._text(here), self._at(here))

    def _applies(self, draft: Draft, location: Location) -> bool:
        """Tell whether a line's selector, if it has one, is for one of the platforms."""
        match = _SELECTOR.search(location.text)
        if match is None:
            return True
        platforms = draft.platforms or ["linux-64"]
        written = f"[{match[1] or ''}{match[2]}]"
        if match[2] not in _OTHERS.union(*_SELECTORS.values()):
            draft.note(location, f"the selector {written} is not understood; the line is taken")
            return True
        answers = {(match[2] in _SELECTORS[name]) != bool(match[1]) for name in platforms}
        if answers == {False}:
            draft.note(location, f"not for {', '.join(platforms)}: {written}")
        elif len(answers) == 2:
            draft.note(location, f"{written}: a spec asks the same of all its platforms")
        return True in answers

    def _conda(self, draft: Draft, text: str, location: Location) -> None:
        written = " ".join(text.split())
        if "://" in written:
            draft.note(location, f"{redact(written)}: a package is asked for by name, not by URL")
            return
        found = placed(written, draft.channels)
        channel, bare = found.channel, found.bare
        name = match_name(bare)
        if name is None:
            why = refusal(bare)
            raise SpecError(
                f"{written!r} is not a match spec: {why.reason}", location=location, hint=why.hint
            )
        if name.startswith("__"):
            draft.note(location, f"{written}: virtual packages stand under platforms in a spec")
            return
        if channel is not None and channel not in draft.channels:
            channel = self._another_channel(draft, channel, location)
        if name == "python":
            draft.pythons.append((bare, str(location), True))
        if channel:
            folder = f"{channel}/{found.subdir}" if found.subdir else channel
            text = f"{folder}::{bare}"
        else:
            text = bare
        draft.conda.append(Item(text=text, name=name, where=str(location), channel=channel))

    def _another_channel(self, draft: Draft, channel: str, location: Location) -> str | None:
        """Add a channel that only a match spec names, and return what a spec calls it."""
        before = set(draft.channels)
        name = add_channel(draft, channel, location)
        if set(draft.channels) != before:
            draft.note(location, f"the channel {name} comes last, since channels: lacks it")
        return name

    def _pip(self, draft: Draft, text: str, location: Location) -> None:
        written = text.strip()
        include = INCLUDE.fullmatch(written)
        if include is not None:
            file, constraints = include[2].strip(), include[1] in {"-c", "--constraint"}
            shown = str(PurePosixPath(location.file).parent / file)
            read_into(draft, self.folder / file, shown, draft.pypi, constraints=constraints)
            return
        if _OPTION.match(written) or _BY_PLACE.match(written) or " @ " in written:
            why = "name it in indexes:" if "index-url" in written else "it is no name of a package"
            draft.note(location, f"{redact(written)}: {why}")
            return
        draft.pypi.append(requirement(written.partition(" --hash")[0], location))

    def _others(self, draft: Draft) -> None:
        known = {"name", "channels", "dependencies", "variables", "platforms"}
        for key in self.document.value:
            if key in known:
                continue
            reason = {"prefix": "an environment's folder is /opt/env"}.get(
                key, "it is not known here"
            )
            draft.note(self.document.mark((key,)).key, f"{key}: {reason}")
