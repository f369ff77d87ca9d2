"""``environment.yml``, as conda reads it: match specs, and a ``pip:`` list among them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.errors import Location, SpecError
from envlock.intake.channels import add_channel
from envlock.intake.draft import SECRET_NAME, Draft, Item
from envlock.intake.requirements import PipReader
from envlock.intake.selectors import applies
from envlock.platforms import PLATFORMS
from envlock.spec.document import read_document
from envlock.spec.matchspec import match_name, placed, refusal
from envlock.urls import carries_secret, redact

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.intake.readers import Choices
    from envlock.spec.document import Document

_SELECTOR = re.compile(r"\s#.*\[([^\[\]]+)\]\s*$")
_SEL = re.compile(r"sel\((.+)\)")
_CUDA = re.compile(
    r"(?:__cuda|cuda-version|cuda-toolkit|cudatoolkit|pytorch-cuda)\s*(?:[=~>]=|[= ])\s*"
    r"(\d+)(?:\.(\d+))?(?:[.=*, ].*)?"
)
"""What names a version of CUDA that the driver has to be as new as."""


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read an environment file; raises SpecError, UsageError."""
    return _Reader(read_document(path, shown), path, choices).draft()


@dataclass(slots=True)
class _Reader:
    document: Document
    path: Path
    choices: Choices
    pip: PipReader | None = None

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
            if carries_secret(mark.raw) or SECRET_NAME.search(str(key)):
                draft.note(
                    mark.value,
                    f"the variable {key} has a credential in it: give it to the container when it "
                    "starts",
                )
                continue
            if "$" in mark.raw:
                draft.note(mark.value, f"the variable {key} is taken as it stands, with its $")
            draft.env[key] = mark.raw

    def _entry(self, draft: Draft, n: int, entry: object) -> None:
        place = ("dependencies", n)
        if not isinstance(entry, dict):
            if self._applies(draft, self._at(place)):
                self._conda(draft, self._text(place), self._at(place))
            return
        for key, value in entry.items():
            if selector := _SEL.fullmatch(str(key)):
                location = self._at((*place, key))
                if self._selected(draft, selector[1].strip(), location):
                    self._conda(draft, self._text((*place, key)), location)
                continue
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
        return match is None or self._selected(draft, match[1].strip(), location)

    def _selected(self, draft: Draft, selector: str, location: Location) -> bool:
        platforms = draft.platforms or ["linux-64"]
        written = f"[{selector}]"
        answers = {applies(selector, name) for name in platforms}
        if None in answers:
            draft.note(location, f"the selector {written} is not understood; the line is taken")
            return True
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
        self._cuda(draft, bare, location)
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

    def _cuda(self, draft: Draft, bare: str, location: Location) -> None:
        """Take the CUDA of a package that names one, the newest of several."""
        match = _CUDA.fullmatch(bare)
        if match is None:
            return
        found = f"{match[1]}.{match[2] or 0}"
        draft.want_cuda(found, location, f"{bare}: the driver must be as new as that")

    def _pip(self, draft: Draft, text: str, location: Location) -> None:
        if self.pip is None:
            self.pip = PipReader(draft, draft.pypi)
        written = text.strip()
        if written.startswith("-") and carries_secret(written):
            draft.note(
                location,
                f"{redact(written)}: an index stands under indexes:, and its credential is the "
                "machine's: netrc, a keyring or config.toml",
            )
            return
        self.pip.line(written, location, self.path)

    def _others(self, draft: Draft) -> None:
        known = {"name", "channels", "dependencies", "variables", "platforms"}
        for key in self.document.value:
            if key in known:
                continue
            reason = {"prefix": "an environment's folder is /opt/env"}.get(
                key, "it is not known here"
            )
            draft.note(self.document.mark((key,)).key, f"{key}: {reason}")
