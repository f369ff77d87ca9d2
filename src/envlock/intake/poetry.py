"""``[tool.poetry]`` of a pyproject.toml, as poetry 1 has it and poetry 2 still reads it.

Carets, tildes and poetry's own keys become requirements (PEP 508) by poetry-core, poetry's own
reading of them.  Followed: python-poetry.org/docs/dependency-specification and /docs/pyproject.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.errors import SpecError, UsageError
from envlock.intake.draft import Draft, requirement
from envlock.intake.indexes import add_index
from envlock.intake.toml_text import at
from envlock.urls import carries_secret, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from envlock.errors import Location
    from envlock.intake.readers import Choices

_PLACES = ("git", "url", "path", "file")
"""Keys of what comes from elsewhere than an index."""
_KEYS = {"version", "extras", "python", "platform", "markers", "optional", "source", "develop"}
_DEV = "dev-dependencies"
"""Poetry 1.0 to 1.1 had one group, in a table of its own."""


def is_poetrys(table: Mapping[str, Any]) -> bool:
    """Tell whether poetry keeps dependencies in tables of its own here."""
    own = (table.get("tool") or {}).get("poetry")
    return isinstance(own, dict) and bool(own.keys() & {"dependencies", "group", _DEV, "source"})


def group_names(table: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of poetry's groups, normalized."""
    own = table["tool"]["poetry"]
    names = [*_table(own.get("group"))] + (["dev"] if _DEV in own else [])
    return frozenset(canonicalize_name(name) for name in names)


def read_table(
    table: Mapping[str, Any], lines: Sequence[str], shown: str, choices: Choices
) -> Draft:
    """Return what ``[tool.poetry]`` says; raises SpecError, UsageError.

    Where there is a ``[project]`` table, its dependencies count, and those here only say from
    which source they come, unless it has them computed (``dynamic``).
    """
    project = table.get("project")
    whole = not isinstance(project, dict) or "dependencies" in project.get("dynamic", ())
    reader = _Reader(table["tool"]["poetry"], lines, shown, choices, Draft())
    return reader.draft_of(whole=whole)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(slots=True)
class _Reader:
    table: dict[str, Any]
    lines: Sequence[str]
    shown: str
    choices: Choices
    draft: Draft

    def draft_of(self, *, whole: bool) -> Draft:
        self.draft.platforms = list(self.choices.platforms)
        sources, places = self._sources()
        main = _table(self.table.get("dependencies"))
        if whole:
            self.draft.name = self.table.get("name")
            self._python(main.get("python"))
            chosen = self._extras()
            for name, value in main.items():
                if name != "python":
                    self._take("dependencies", name, value, sources, chosen)
        else:
            for name, value in main.items():
                self._comes_from(name, value, self._at("dependencies", name), sources)
        for group, section, members in self._groups():
            if group in {canonicalize_name(name) for name in self.choices.groups}:
                for name, value in members.items():
                    self._take(section, name, value, sources, None)
        self._unnamed(places)
        self._left(whole=whole)
        return self.draft

    def _at(self, section: str, name: str) -> Location:
        """Return the line of a key in one of poetry's tables, or of the key's own table."""
        pattern = re.compile(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=")
        inside = False
        for line in self.lines:
            if line.startswith("["):
                inside = line.startswith(f"[tool.poetry.{section}]")
                if line.startswith(f"[tool.poetry.{section}.{name}]"):
                    return at(self.lines, line, self.shown)
            elif inside and pattern.match(line):
                return at(self.lines, line, self.shown)
        return at(self.lines, f"[tool.poetry.{section}", self.shown)

    def _python(self, rule: object) -> None:
        from poetry.core.constraints.version import parse_constraint

        if rule is None:
            return
        where = self._at("dependencies", "python")
        try:
            text = str(parse_constraint(str(rule)))
        except ValueError as error:
            raise SpecError(f"python: {error}", location=where) from None
        if "||" in text:
            self.draft.note(where, f"python {rule} has a gap, and is not looked at: use --python")
        elif text != "*":
            self.draft.pythons.append((text, str(where), False))

    def _take(
        self,
        section: str,
        name: str,
        value: object,
        sources: Mapping[str, str],
        chosen: frozenset[str] | None,
    ) -> None:
        """Take one dependency; chosen: the optional ones that are, all where None."""
        where = self._at(section, name)
        for entry in value if isinstance(value, list) else [value]:
            if not isinstance(entry, str | dict):
                raise SpecError(
                    f"{name} must be a version or a table, not {entry!r}",
                    location=where,
                    hint=f'write {name} = "^1.2"',
                )
            known = entry if isinstance(entry, dict) else {"version": entry}
            left_out = chosen is not None and canonicalize_name(name) not in chosen
            if left_out and known.get("optional") is True:
                continue
            place = next((known[key] for key in _PLACES if key in known), None)
            if place is not None:
                text = redact(str(place))
                self.draft.note(where, f"{name} comes from {text}, and not from an index")
                continue
            self.draft.pypi.append(requirement(_pep508(name, known, where), where))
            for key in sorted(known.keys() - _KEYS):
                self.draft.note(where, f"{name}: {key} is left out")
        self._comes_from(name, value, where, sources)

    def _comes_from(
        self, name: str, value: object, where: Location, sources: Mapping[str, str]
    ) -> None:
        """Note the source that a dependency names; raises SpecError for one that is not there."""
        for entry in value if isinstance(value, list) else [value]:
            source = _table(entry).get("source")
            if source is None or str(source).lower() == "pypi":
                continue
            if str(source).lower() not in sources:
                raise SpecError(
                    f"{name} comes from the source {source!r}, which is not there",
                    location=where,
                    hint=f"it has: {', '.join(sorted(sources)) or 'no sources'}",
                )
            packages = self.draft.index_packages.setdefault(sources[str(source).lower()], [])
            if canonicalize_name(name) not in packages:
                packages.append(canonicalize_name(name))

    def _extras(self) -> frozenset[str]:
        """Return the names of the optional dependencies that the chosen extras have."""
        extras = self._extra_tables()
        chosen: set[str] = set()
        for name in map(canonicalize_name, self.choices.extras):
            if name not in extras:
                raise UsageError(
                    f"there is no extra {name!r}",
                    where=self.shown,
                    hint=f"it has: {', '.join(sorted(extras)) or 'no extras'}",
                )
            chosen.update(canonicalize_name(str(one)) for one in extras[name])
        return frozenset(chosen)

    def _extra_tables(self) -> dict[str, list[object]]:
        extras = _table(self.table.get("extras")).items()
        return {
            canonicalize_name(key): value if isinstance(value, list) else []
            for key, value in extras
        }

    def _groups(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield each group's name, the name of its table, and its dependencies."""
        if _DEV in self.table:
            yield "dev", _DEV, _table(self.table[_DEV])
        for name, group in _table(self.table.get("group")).items():
            members = _table(_table(group).get("dependencies"))
            yield canonicalize_name(name), f"group.{name}.dependencies", members

    def _sources(self) -> tuple[dict[str, str], dict[str, tuple[Location, bool]]]:
        """Add the indexes that packages may come from.

        Return their names by poetry's, and by their names where they stand and whether they are
        explicit, which is to say asked for nothing but what names them.  Raises SpecError.
        """
        found: dict[str, str] = {}
        places: dict[str, tuple[Location, bool]] = {}
        entries = self.table.get("source", [])
        for entry in filter(None, map(_table, entries if isinstance(entries, list) else [])):
            name, url = str(entry.get("name", "")), entry.get("url")
            if not isinstance(url, str):
                continue  # PyPI, which is there anyway
            where = at(self.lines, url, self.shown)
            if carries_secret(url):
                raise SpecError(
                    f"the URL of the source {name} carries a credential",
                    location=type(where)(file=where.file, line=where.line, column=where.column),
                    hint="remove it there, and put it into netrc, a keyring or config.toml",
                )
            found[name.lower()] = add_index(self.draft.indexes, url, where)
            places[found[name.lower()]] = (where, entry.get("priority") == "explicit")
        return found, places

    def _unnamed(self, places: Mapping[str, tuple[Location, bool]]) -> None:
        """Tell which indexes are asked for everything, drop those asked for nothing."""
        for index, (where, explicit) in places.items():
            if index in self.draft.index_packages:
                continue
            if explicit:
                del self.draft.indexes[index]
                continue
            self.draft.note(
                where,
                f"the index is called {index}, and is asked first for everything: say which "
                "packages come from it",
            )

    def _left(self, *, whole: bool) -> None:
        """Tell which extras and groups were not chosen."""
        chosen = set(map(canonicalize_name, self.choices.extras))
        left = sorted(self._extra_tables().keys() - chosen) if whole else []
        if left:
            where = at(self.lines, "[tool.poetry.extras", self.shown)
            self.draft.note(where, f"extras: {', '.join(left)}; --extra takes one over")
        chosen = set(map(canonicalize_name, self.choices.groups))
        left = sorted({name for name, _, _ in self._groups()} - chosen)
        if left:
            section = "[tool.poetry.group" if "group" in self.table else f"[tool.poetry.{_DEV}"
            where = at(self.lines, section, self.shown)
            self.draft.note(where, f"groups: {', '.join(left)}; --group takes one over")


def _pep508(name: str, known: Mapping[str, Any], where: Location) -> str:
    """Return a requirement (PEP 508) for what poetry knows of one; raises SpecError."""
    from poetry.core.factory import Factory

    for key in ("version", "python", "platform", "markers"):
        if not isinstance(known.get(key, ""), str):
            raise SpecError(f"{name}: {key} must be a text", location=where)
    extras = known.get("extras", [])
    if not isinstance(extras, list) or not all(isinstance(extra, str) for extra in extras):
        raise SpecError(f"{name}: extras must be a list of texts", location=where)
    if "markers" in known:
        requirement(f"x; {known['markers']}", where)  # refused in words, as everywhere
    only = {key: known[key] for key in known if key in _KEYS}
    try:
        text = Factory.create_dependency(name, only).to_pep_508()
    except ValueError as error:
        raise SpecError(
            f"{name}: {error}", location=where, hint="poetry has ^1.2, ~1.2, 1.2.* and >=1.2,<2"
        ) from None
    if "||" in text:
        raise SpecError(
            f"{name} may have versions of several ranges ({known.get('version')}), which a "
            "requirement cannot say",
            location=where,
            hint="write one range there, with != for what is not meant",
        )
    return text
