"""``environment.yml``, as conda reads it: match specs, and a ``pip:`` list among them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.errors import Location, SpecError
from envlock.intake.channels import add_channel
from envlock.intake.draft import Draft, Item, requirement
from envlock.platforms import PLATFORMS
from envlock.spec.conda import match_name
from envlock.spec.document import read_document
from envlock.urls import carries_secret, redact

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.intake.readers import Choices
    from envlock.spec.document import Document

_SELECTOR = re.compile(r"\s#.*\[\s*(not\s+)?([a-z0-9_]+)\s*\]\s*$")
_CHANNEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._/+-]*)::?(?=[^:])(.*)", re.DOTALL)
_SELECTORS = {
    "linux-64": {"linux", "linux64", "unix", "x86_64", "x86"},
    "linux-aarch64": {"linux", "aarch64", "unix"},
}
_OTHERS = {"win", "win32", "win64", "osx", "osx64", "arm64", "ppc64le", "s390x"}
_OPTION = re.compile(r"-{1,2}[A-Za-z]")
_BY_PLACE = re.compile(r"(?:[a-z+]+://|git@|\.{0,2}/|\.$)")


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read an environment file; raises SpecError, UsageError."""
    return _Reader(read_document(path, shown), choices).draft()


@dataclass(slots=True)
class _Reader:
    document: Document
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
        match = _CHANNEL.match(written)
        channel, bare = (match[1], match[2].strip()) if match else (None, written)
        name = match_name(bare)
        if name is None:
            raise SpecError(
                f"{written!r} is not a match spec",
                location=location,
                hint='write it as conda does: "numpy", "numpy>=1.26,<3", "pytorch=2.4.*=*cuda*"',
            )
        if name.startswith("__"):
            draft.note(location, f"{written}: virtual packages stand under platforms in a spec")
            return
        if channel is not None and channel not in draft.channels:
            draft.note(location, f"the channel {channel} comes last, since channels: lacks it")
            add_channel(draft, channel, location)
        if name == "python":
            draft.pythons.append((bare, str(location), True))
        text = f"{channel}::{bare}" if channel else bare
        draft.conda.append(Item(text=text, name=name, where=str(location), channel=channel))

    def _pip(self, draft: Draft, text: str, location: Location) -> None:
        written = text.strip()
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
