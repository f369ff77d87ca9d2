"""``pixi.toml``, and the same tables below ``tool.pixi`` of a ``pyproject.toml``.

One environment is taken: the default one, with the features that ``--group`` names, or the one
that it names.  Tables for a target are taken where they are for the spec's platforms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.errors import Location, SpecError, UsageError
from envlock.intake.channels import add_channel
from envlock.intake.draft import SECRET_NAME, Draft, Forced, Item, requirement
from envlock.intake.indexes import add_index
from envlock.intake.requirements import PipReader
from envlock.intake.selectors import applies
from envlock.intake.toml_text import at, read_toml
from envlock.platforms import PLATFORMS
from envlock.spec.matchspec import match_name, refusal
from envlock.urls import carries_secret, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from envlock.intake.readers import Choices

_CONDA = ("dependencies", "host-dependencies", "build-dependencies")
_BY_PLACE = ("path", "git", "url")
_PYPI_PLACE = "it is no wheel of an index: put one there"
_LEFT = {
    "tasks": "image.command, and what you start things with, are in their place",
    "package": "the package itself is not built",
    "constraints": "write them under conda.constraints",
}
_OPERATOR = re.compile(r"[<>=!~]")


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read a manifest of pixi; raises SpecError, UsageError."""
    table, lines = read_toml(path, shown)
    return read_tables(table, Lines(path, shown, lines, ""), choices)


def read_tables(table: Mapping[str, Any], lines: Lines, choices: Choices) -> Draft:
    """Read pixi's tables; raises SpecError, UsageError."""
    try:
        return _Reader(table, lines, choices).draft()
    except (AttributeError, TypeError, KeyError) as error:
        raise SpecError(
            f"pixi would not read this: a table has another shape ({error})",
            location=Location(file=lines.shown, line=1, column=1),
        ) from None


@dataclass(frozen=True, slots=True)
class Lines:
    """A manifest's lines; prefix: of its tables' names, ``tool.pixi.`` in a pyproject.toml."""

    path: Path
    shown: str
    lines: Sequence[str]
    prefix: str

    def at(self, table: str, key: str = "") -> Location:
        """Return where a key of a table stands, or the table itself."""
        head = re.escape(f"{self.prefix}{table}")
        name = re.escape(key)
        inside = False
        for number, line in enumerate(self.lines, 1):
            text = line.strip().replace(" ", "").replace('"', "")
            if text.startswith("["):
                inside = bool(re.match(rf"\[{head}\]", text))
                if re.match(rf"\[{head}\.{name}\]" if key else rf"\[{head}\]", text):
                    return Location(file=self.shown, line=number, column=1, text=line)
            elif inside and key and re.match(rf"{name}[=.]", text):
                column = line.find(key) + 1
                return Location(file=self.shown, line=number, column=column, text=line)
        return at(self.lines, key or table, self.shown)


@dataclass(slots=True)
class _Reader:
    table: Mapping[str, Any]
    lines: Lines
    choices: Choices

    def draft(self) -> Draft:
        head = "workspace" if "workspace" in self.table else "project"
        workspace = self.table.get(head)
        if not isinstance(workspace, dict):
            raise UsageError(
                "there is no [workspace] table",
                where=self.lines.shown,
                hint="pixi init writes one, with channels and platforms",
            )
        draft = Draft(name=workspace.get("name"))
        draft.platforms = self._platforms(draft, workspace, head)
        features = self._features(draft)
        for name, table in features:
            where = f"feature.{name}" if name else head
            for channel in (table if name else workspace).get("channels", ()):
                text = channel["channel"] if isinstance(channel, dict) else str(channel)
                add_channel(draft, text, self.lines.at(where, "channels"))
        for name, table in features:
            self._feature(draft, table, f"feature.{name}." if name else "")
        if "exclude-newer" in workspace:
            moment = workspace["exclude-newer"]
            draft.note(self.lines.at(head, "exclude-newer"), f"write exclude-newer: {moment}")
        for key, why in _LEFT.items():
            if key in self.table:
                draft.note(self.lines.at(key), f"{key}: {why}")
        return draft

    def _platforms(self, draft: Draft, workspace: Mapping[str, Any], head: str) -> list[str]:
        known = []
        for entry in workspace.get("platforms", ()):
            name = entry.get("platform") if isinstance(entry, dict) else entry
            if name in PLATFORMS:
                known.append(str(name))
            else:
                draft.note(
                    self.lines.at(head, "platforms"),
                    f"the platform {name} is not one that envlock builds for",
                )
        return list(self.choices.platforms) or known or ["linux-64"]

    def _features(self, draft: Draft) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the chosen features by name; the default one, of no name, is the table itself."""
        features = self.table.get("feature", {})
        environments = {"default": [], **self.table.get("environments", {})}
        names: list[str] = []
        default = True
        for wanted in ("default", *self.choices.groups):
            if wanted in environments:
                said = environments[wanted]
                table = said if isinstance(said, dict) else {"features": said}
                names += table.get("features", ())
                default = default and not table.get("no-default-feature", False)
            elif wanted in features:
                names.append(wanted)
            else:
                there = ", ".join(sorted({*features, *environments})) or "none"
                raise UsageError(
                    f"there is no feature or environment {wanted!r}",
                    where=self.lines.shown,
                    hint=f"it has: {there}",
                )
        missing = [name for name in names if name not in features]
        if missing:
            raise UsageError(f"there is no feature {missing[0]!r}", where=self.lines.shown)
        left = sorted({*features} - {*names})
        if left:
            place = self.lines.at(f"feature.{left[0]}.dependencies")
            draft.note(place, f"features: {', '.join(left)}; --group takes one over")
        chosen = [(name, features[name]) for name in dict.fromkeys(names)]
        return [("", self.table), *chosen] if default else chosen

    def _feature(self, draft: Draft, table: Mapping[str, Any], prefix: str) -> None:
        self._requirements(draft, table.get("system-requirements", {}), prefix)
        self._options(draft, table.get("pypi-options", {}), prefix)
        for where, part in self._parts(draft, table, prefix):
            for key in _CONDA:
                for name, value in part.get(key, {}).items():
                    self._conda(draft, name, value, self.lines.at(f"{where}{key}", name))
            for name, value in part.get("pypi-dependencies", {}).items():
                self._pypi(draft, name, value, self.lines.at(f"{where}pypi-dependencies", name))
            self._activation(draft, part.get("activation", {}), f"{where}activation")

    def _parts(
        self, draft: Draft, table: Mapping[str, Any], prefix: str
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield a feature's own tables and those of targets, with the start of their names."""
        yield prefix, table
        for name, part in table.get("target", {}).items():
            answers = {name == one or bool(applies(name, one)) for one in draft.platforms}
            where = f"{prefix}target.{name}."
            if len(answers) == 2:
                draft.note(
                    self.lines.at(f"{where}{next(iter(part), '')}"),
                    f"target.{name}: a spec asks the same of all its platforms",
                )
            if True in answers:
                yield where, part

    def _conda(self, draft: Draft, name: str, value: object, location: Location) -> None:
        said = value if isinstance(value, dict) else {"version": str(value)}
        place = next((key for key in _BY_PLACE if key in said), None)
        if place is not None:
            draft.note(location, f"{name}: by its {place}, not from a channel")
            return
        bare = _match_spec(name, said)
        found = match_name(bare)
        if found is None or found != name.lower():
            why = refusal(bare if found is None else name)
            raise SpecError(
                f"{bare!r} is not a match spec: {why.reason}", location=location, hint=why.hint
            )
        channel = add_channel(draft, said["channel"], location) if "channel" in said else None
        if found == "python":
            draft.pythons.append((bare, str(location), True))
        text = f"{channel}::{bare}" if channel else bare
        draft.conda.append(Item(text=text, name=found, where=str(location), channel=channel))

    def _pypi(self, draft: Draft, name: str, value: object, location: Location) -> None:
        said = value if isinstance(value, dict) else {"version": str(value)}
        if any(key in said for key in _BY_PLACE):
            draft.note(location, f"{name}: {_PYPI_PLACE}")
            return
        version, extras = said.get("version", "*"), said.get("extras", ())
        text = f"{name}[{','.join(extras)}]" if extras else name
        if version != "*":
            text += version if _OPERATOR.match(version) else f"=={version}"
        marker = said.get("env-markers") or said.get("markers")
        draft.pypi.append(requirement(f"{text} ; {marker}" if marker else text, location))
        if "index" in said:
            index = self._index(draft, said["index"], location)
            if index:
                draft.index_packages.setdefault(index, []).append(canonicalize_name(name))

    def _index(self, draft: Draft, url: str, location: Location) -> str | None:
        """Add an index and return its name; None where it has a credential."""
        if carries_secret(url):
            draft.note(
                location, f"{redact(url)}: write the index without the credential under indexes:"
            )
            return None
        return add_index(draft.indexes, url, location)

    def _options(self, draft: Draft, table: Mapping[str, Any], prefix: str) -> None:
        where = f"{prefix}pypi-options"
        pip = PipReader(draft, draft.pypi)
        for key, value in table.items():
            location = self.lines.at(where, key)
            if key in ("index-url", "extra-index-urls"):
                for url in [value] if isinstance(value, str) else value:
                    option = "--index-url" if key == "index-url" else "--extra-index-url"
                    pip.line(f"{option} {url}", location, self.lines.path)
            elif key == "dependency-overrides":
                for name, said in value.items():
                    self._override(draft, name, said, self.lines.at(f"{where}.{key}", name))
            else:
                draft.note(location, f"{key}: only wheels of indexes are installed")

    def _override(self, draft: Draft, name: str, said: object, location: Location) -> None:
        text = str(said.get("version", "*") if isinstance(said, dict) else said)
        if not re.fullmatch(r"==\s*[^*,\s]+", text):
            draft.note(location, f"{name} {text}: an override names one version, ==1.2.3")
            return
        version = text.removeprefix("==").strip()
        draft.forced.append(
            Forced(package=canonicalize_name(name), version=version, where=str(location))
        )

    def _requirements(self, draft: Draft, table: Mapping[str, Any], prefix: str) -> None:
        where = f"{prefix}system-requirements"
        for key, value in table.items():
            location = self.lines.at(where, key)
            if key == "cuda":
                draft.cuda = str(value) if "." in str(value) else f"{value}.0"
            elif key in ("libc", "linux", "archspec"):
                said = value.get("version") if isinstance(value, dict) else value
                name = "glibc" if key == "libc" else key
                draft.note(location, f"{key} {said}: it is {name} under platforms")

    def _activation(self, draft: Draft, table: Mapping[str, Any], where: str) -> None:
        for script in table.get("scripts", ()):
            draft.note(self.lines.at(where, "scripts"), f"{script}: no script is run at the start")
        for name, value in table.get("env", {}).items():
            location = self.lines.at(f"{where}.env", name)
            if SECRET_NAME.search(name) or carries_secret(str(value)):
                draft.note(location, f"{name}: give it to the container when it starts")
            elif "$" in str(value):
                draft.note(location, f"{name}: the variables in its value are not known here")
            else:
                draft.env[name] = str(value)


def _match_spec(name: str, said: Mapping[str, Any]) -> str:
    """Return an entry of pixi as a match spec without its channel."""
    version = re.sub(r"\s+", "", str(said.get("version", "*")))
    build = said.get("build")
    text = name
    if version != "*" or build:
        text += f" {version}" if build or not _OPERATOR.match(version) else version
    text += f" {build}" if build else ""
    inner = [f"build_number='{said['build-number']}'"] if "build-number" in said else []
    return f"{text}[{','.join(inner)}]" if inner else text
