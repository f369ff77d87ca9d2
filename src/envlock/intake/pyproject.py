"""``pyproject.toml``: the ``project`` table (PEP 621) and dependency groups (PEP 735)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.errors import SpecError, UsageError
from envlock.intake import poetry
from envlock.intake.draft import Draft, requirement
from envlock.intake.pixi import Lines, read_tables
from envlock.intake.toml_text import at, read_toml
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from envlock.errors import Location
    from envlock.intake.readers import Choices

_TOOLS = ("conda-lock", "pdm", "poetry", "hatch", "uv")
"""Tools that keep more about dependencies in tables of their own."""


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read a project file; raises SpecError, UsageError."""
    table, lines = read_toml(path, shown)
    pixi = (table.get("tool") or {}).get("pixi")
    if not isinstance(pixi, dict) or not {"workspace", "project"} & pixi.keys():
        if poetry.is_poetrys(table):
            return _with_poetrys(table, lines, shown, choices)
        return _Reader(table, lines, shown, choices).draft()
    draft = read_tables(pixi, Lines(path, shown, lines, "tool.pixi."), choices)
    if isinstance(table.get("project"), dict):
        own = replace(choices, platforms=tuple(draft.platforms), groups=())
        draft.add(_Reader(table, lines, shown, own).draft())
    return draft


def _with_poetrys(table: dict[str, Any], lines: list[str], shown: str, choices: Choices) -> Draft:
    draft = poetry.read_table(table, lines, shown, choices)
    if isinstance(table.get("project"), dict):
        names = poetry.group_names(table)
        groups = tuple(one for one in choices.groups if canonicalize_name(one) not in names)
        draft.add(_Reader(table, lines, shown, replace(choices, groups=groups)).draft())
    return draft


@dataclass(slots=True)
class _Reader:
    table: dict[str, Any]
    lines: list[str]
    shown: str
    choices: Choices

    def draft(self) -> Draft:
        project = self.table.get("project")
        if not isinstance(project, dict) and not self.choices.groups:
            raise UsageError(
                "there is no [project] table",
                where=self.shown,
                hint="[tool.poetry] is read where it has dependencies"
                if "poetry" in self.table.get("tool", {})
                else None,
            )
        project = project or {}
        draft = Draft(name=project.get("name"), platforms=list(self.choices.platforms))
        if "requires-python" in project:
            python = str(project["requires-python"])
            draft.pythons.append((python, str(self._at("requires-python")), False))
        if "dependencies" in project.get("dynamic", ()):
            draft.note(self._at("dynamic"), "dependencies are computed when the project is built")
        self._take(draft, "dependencies", project.get("dependencies", []))
        self._extras(draft, project)
        self._groups(draft)
        self._others(draft, project)
        return draft

    def _at(self, text: str) -> Location:
        return at(self.lines, text, self.shown)

    def _take(self, draft: Draft, what: str, texts: object) -> None:
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise SpecError(f"{what} must be a list of texts", location=self._at(what))
        for text in texts:
            if " @ " in text or "://" in text:
                draft.note(self._at(text), f"{redact(text)}: asked for by URL, not from an index")
                continue
            item = requirement(text, self._at(text))
            if draft.name is None or item.name != canonicalize_name(draft.name):
                draft.pypi.append(item)

    def _extras(self, draft: Draft, project: dict[str, Any]) -> None:
        """Take the chosen extras; an extra may ask for others of its own project."""
        from packaging.requirements import InvalidRequirement

        from envlock.requirements import parse_requirement

        table = project.get("optional-dependencies", {})
        extras = {canonicalize_name(name): name for name in table}
        queue, seen = [canonicalize_name(name) for name in self.choices.extras], set[str]()
        while queue:
            name = queue.pop(0)
            if name in seen:
                continue
            seen.add(name)
            if name not in extras:
                raise self._unknown("extra", name, extras)
            texts = table[extras[name]]
            self._take(draft, extras[name], texts)
            for text in texts:
                try:
                    parsed = parse_requirement(text)
                except InvalidRequirement:
                    continue  # refused above
                if canonicalize_name(parsed.name) == canonicalize_name(project.get("name", "")):
                    queue.extend(canonicalize_name(extra) for extra in sorted(parsed.extras))
        left = sorted(set(extras) - seen)
        if left:
            where = self._at("optional-dependencies")
            draft.note(where, f"extras: {', '.join(left)}; --extra takes one over")

    def _groups(self, draft: Draft) -> None:
        from packaging.dependency_groups import resolve_dependency_groups

        table = self.table.get("dependency-groups", {})
        groups = {canonicalize_name(name): name for name in table}
        for name in self.choices.groups:
            if canonicalize_name(name) not in groups:
                raise self._unknown("group", name, groups)
            try:
                texts = resolve_dependency_groups(table, name)
            except (ValueError, TypeError, LookupError, ExceptionGroup) as error:
                raise SpecError(
                    f"the dependency group {name} cannot be read: {error}",
                    location=self._at("dependency-groups"),
                ) from None
            self._take(draft, name, list(texts))
        left = sorted(set(groups) - {canonicalize_name(name) for name in self.choices.groups})
        if left:
            where = self._at("dependency-groups")
            draft.note(where, f"groups: {', '.join(left)}; --group takes one over")

    def _unknown(self, what: str, name: str, known: Iterable[str]) -> UsageError:
        return UsageError(
            f"there is no {what} {name!r}",
            where=self.shown,
            hint=f"it has: {', '.join(sorted(known)) or f'no {what}s'}",
        )

    def _others(self, draft: Draft, project: dict[str, Any]) -> None:
        for tool in _TOOLS:
            if tool == "poetry" and poetry.is_poetrys(self.table):
                continue
            if tool in self.table.get("tool", {}):
                draft.note(self._at(f"[tool.{tool}"), f"[tool.{tool}] is not read")
        if project.get("name"):
            draft.note(
                self._at("name"),
                f"{project['name']} itself is not installed: put its wheel on an index, "
                "such as the folder ./wheels, and add it",
            )
