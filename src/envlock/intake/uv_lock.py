"""``uv.lock``: the project's own wishes, with the versions that uv had chosen.

What the project asks for becomes a dependency with its exact version, all else a constraint; uv's
``override-dependencies`` become overrides.  The format is uv's own (version 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

from envlock.errors import SpecError, UsageError
from envlock.intake.docker_pip import pinned_version
from envlock.intake.draft import Draft, Forced, requirement
from envlock.intake.indexes import add_index
from envlock.intake.toml_text import at, at_package, read_toml
from envlock.platforms import PLATFORMS
from envlock.urls import carries_secret, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from envlock.errors import Location
    from envlock.intake.readers import Choices

_OWN = ("virtual", "editable", "directory")
_ELSEWHERE = ("git", "url", "path", "directory")


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read a lock file of uv; raises SpecError, UsageError."""
    table, lines = read_toml(path, shown)
    packages = table.get("package")
    if table.get("version") != 1 or not isinstance(packages, list):
        raise SpecError(
            "this is no lock file of uv in version 1",
            location=at(lines, "version", shown),
            hint="uv export -o pylock.toml writes a file that can be read, too",
        )
    try:
        return _Reader(table, packages, lines, shown, choices).draft()
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError(
            f"uv does not write this: {type(error).__name__} at {error}",
            location=at(lines, "[[package]]", shown),
        ) from None


@dataclass(slots=True)
class _Reader:
    table: dict[str, Any]
    packages: list[dict[str, Any]]
    lines: list[str]
    shown: str
    choices: Choices

    def draft(self) -> Draft:
        own = [one for one in self.packages if self._is_own(one)]
        draft = Draft(platforms=list(self.choices.platforms))
        if len(own) == 1:
            draft.name = own[0]["name"]
        elif not own:
            raise UsageError(
                "there is no project in the file whose dependencies could be taken",
                where=self.shown,
                hint="uv export -o pylock.toml writes one with everything that is installed",
            )
        if "requires-python" in self.table:
            place = at(self.lines, "requires-python", self.shown)
            draft.pythons.append((self.table["requires-python"], str(place), False))
        extras = self._asked(draft, own)
        names = {canonicalize_name(one["name"]) for one in own}
        self._overrides(draft)
        forced = {one.package for one in draft.forced}
        for package in self._chosen(draft):
            if canonicalize_name(package["name"]) not in names | forced:
                self._pin(draft, package, extras)
        for one in own:
            draft.note(
                at_package(self.lines, one["name"], self.shown),
                f"{one['name']} itself is not installed: put its wheel on an index, "
                "such as the folder ./wheels, and add it",
            )
        return draft

    def _is_own(self, package: dict[str, Any]) -> bool:
        source = package.get("source", {})
        return any(source.get(kind) is not None for kind in _OWN)

    def _asked(self, draft: Draft, own: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
        """Return the extras of each distribution that a project of the file asks for."""
        found: dict[str, set[str]] = {}
        left: set[str] = set()
        for project in own:
            entries = list(project.get("dependencies", ()))
            for table, wanted in (
                ("optional-dependencies", self.choices.extras),
                ("dev-dependencies", self.choices.groups),
            ):
                groups = project.get(table, {})
                for name in groups:
                    if name in wanted:
                        entries += groups[name]
                    else:
                        left.add(name)
            for entry in entries:
                extras = found.setdefault(canonicalize_name(entry["name"]), set())
                extras.update(entry.get("extra", ()))
        if left:
            draft.note(
                self.shown,
                f"extras and groups: {', '.join(sorted(left))}; --extra and --group take one over",
            )
        return found

    def _overrides(self, draft: Draft) -> None:
        manifest = self.table.get("manifest", {})
        for entry in manifest.get("overrides", ()):
            name = canonicalize_name(entry["name"])
            text = f"{name}{entry.get('specifier', '')}"
            place = at(self.lines, f'name = "{name}", specifier', self.shown)
            version = pinned_version(text)
            if version is None:
                draft.note(place, f"uv's override {text} is no exact version: an override is one")
            else:
                draft.forced.append(Forced(package=name, version=version, where=str(place)))
        for entry in manifest.get("constraints", ()):
            place = at(self.lines, f'name = "{entry["name"]}", specifier', self.shown)
            text = f"{entry['name']}{entry.get('specifier', '')}"
            draft.note(place, f"uv's constraint {text} is left out: the pins say more")

    def _chosen(self, draft: Draft) -> Iterator[dict[str, Any]]:
        """Yield the packages for the chosen platforms, those with one version only."""
        platforms = draft.platforms or ["linux-64"]
        python = _oldest(self.table.get("requires-python", ""))
        environments = [PLATFORMS[name].marker_environment(python) for name in platforms]
        here: dict[str, list[dict[str, Any]]] = {}
        for package in self.packages:
            markers = package.get("resolution-markers")
            if not markers or any(_holds(text, env) for text in markers for env in environments):
                here.setdefault(package["name"], []).append(package)
        for name, ones in here.items():
            if len(ones) == 1:
                yield ones[0]
                continue
            versions = ", ".join(sorted(str(one.get("version")) for one in ones))
            draft.note(
                at_package(self.lines, name, self.shown),
                f"{name} has several versions there ({versions}): none is taken for a pin",
            )
            yield {**ones[0], "version": None}

    def _pin(self, draft: Draft, package: dict[str, Any], asked: dict[str, set[str]]) -> None:
        name = canonicalize_name(package["name"])
        place = at_package(self.lines, package["name"], self.shown)
        source = package.get("source", {})
        elsewhere = next((source[kind] for kind in _ELSEWHERE if kind in source), None)
        if elsewhere is not None:
            draft.note(place, f"{name} comes from {redact(str(elsewhere))}, and not from an index")
            return
        version = package.get("version")
        if name in asked:
            extras = f"[{','.join(sorted(asked[name]))}]" if asked[name] else ""
            pin = f"=={version}" if version else ""
            draft.pypi.append(requirement(f"{name}{extras}{pin}", place))
        elif version:
            draft.pypi_constraints.append(requirement(f"{name}=={version}", place))
        self._index(draft, name, str(source.get("registry", "")), place)

    def _index(self, draft: Draft, name: str, url: str, place: Location) -> None:
        """Name the index of a package where it is not the one that most come from."""
        if not url or url == self._usual() or "://" not in url:
            return
        if carries_secret(url):
            draft.note(place, f"the index of {name} has a credential in its URL: name it yourself")
            return
        index = add_index(draft.indexes, url, place)
        draft.index_packages.setdefault(index, []).append(name)

    def _usual(self) -> str:
        """Return the URL of the index that has most packages: the default one."""
        urls = [str(one.get("source", {}).get("registry", "")) for one in self.packages]
        return max(sorted(set(urls) - {""}), key=urls.count, default="")


def _oldest(requires: str) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        wanted = SpecifierSet(requires)
    except InvalidSpecifier:
        raise UsageError(f"requires-python: {requires!r} is not understood") from None
    known = ("3.11", "3.13", "3.12", "3.10", "3.14", "3.9")
    return next((one for one in known if wanted.contains(f"{one}.40")), "3.11")


def _holds(text: str, environment: dict[str, str]) -> bool:
    try:
        return Marker(text).evaluate({**environment, "extra": ""})
    except (InvalidMarker, RecursionError):
        return True
