"""Asking uv: one resolution for one target, as a PEP 751 lock.

uv resolves for the spec's platform and Python, takes wheels only (nothing from an artifact
is run), and sees no configuration of this machine but the indexes it is given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envlock.errors import UnsatisfiableError
from envlock.files import temporary_folder
from envlock.platforms import PLATFORMS
from envlock.solve.pypi.choosing import Chosen, as_chosen, selected
from envlock.solve.pypi.stubs import NAME as STUBS
from envlock.solve.pypi.stubs import write_stub_index
from envlock.solve.pypi.words import complaint, yanked
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.solve.provided import Provided
    from envlock.spec.model import Index, Target

_ANNOTATED = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)==\S+.*?\n(?:\s+#.*\n)*?\s+# from (\S+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedOverride:
    """``package`` (or everybody, where it is None) gets ``requirement`` instead of its own."""

    package: str | None
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What uv is asked.  Requirements are PEP 508 texts; names are normalized."""

    name: str
    python: str
    target: Target
    requirements: Sequence[str]
    constraints: Sequence[str] = ()
    exclude: Sequence[str] = ()
    overrides: Sequence[ScopedOverride] = ()
    exclude_newer: str | None = None
    indexes: Sequence[Index] = ()
    preferred: Mapping[str, str] = field(default_factory=dict)
    """Versions that are kept where they fit, by name."""
    stubs: Sequence[Provided] = ()
    """Distributions that are there already and are never chosen."""


class Uv:
    """Runs the uv that is installed beside envlock.

    index_urls: URL of each index on this machine, ``pypi`` among them; environ: variables of
    the subprocess; cache: uv's own cache folder.
    """

    def __init__(
        self,
        *,
        index_urls: Mapping[str, str],
        environ: Mapping[str, str],
        cache: Path,
        python: Path,
        offline: bool = False,
    ) -> None:
        self._index_urls = index_urls
        self._environ = dict(environ)
        self._cache = cache
        self._python = python
        self._offline = offline

    def places(self, indexes: Sequence[Index]) -> list[str]:
        """Return the URLs that are asked, as they may be shown, in order."""
        return [redact(url) for url in (*map(self._url, indexes), self._index_urls["pypi"])]

    def ask(self, question: Question) -> tuple[Chosen, ...]:
        """Return the chosen wheels sorted by name.

        uv takes a package from the index it is bound to only where the project itself asks
        for it, so bound packages are asked for directly, and those that nobody else wants
        are left out again.  Raises UnsatisfiableError with uv's explanation, or FetchError.
        """
        direct = {canonicalize_name(Requirement(text).name) for text in question.requirements}
        bound = {*_bound(question)}
        hidden = bound - direct - set(question.exclude)
        chosen, needless = self._first(question, hidden)
        while True:
            unbound = {wheel.name for wheel in chosen} & bound - direct - hidden
            if not needless and not unbound:
                return chosen
            hidden = hidden - needless | unbound
            chosen, _ = self._ask(question, hidden)
            needless = set()

    def _first(self, question: Question, hidden: set[str]) -> tuple[tuple[Chosen, ...], set[str]]:
        """Ask, leaving out of ``hidden`` what perhaps nobody wants and is in the way."""
        failure: UnsatisfiableError | None = None
        while True:
            try:
                return self._ask(question, hidden)
            except UnsatisfiableError as error:
                failure = failure or error
                words = set(re.findall(r"[a-z0-9-]+", " ".join(error.details).lower()))
                if not hidden & words:
                    raise failure from None
                hidden -= words

    def _ask(self, question: Question, hidden: set[str]) -> tuple[tuple[Chosen, ...], set[str]]:
        """Return the chosen wheels, and which of ``hidden`` nobody else wants."""
        asked = dataclasses.replace(
            question, requirements=[*question.requirements, *sorted(hidden)]
        )
        with temporary_folder("envlock-uv-") as here:
            stubs = write_stub_index(here, asked.stubs) if asked.stubs else None
            project = self._project(asked, stubs)
            _write(here / "pyproject.toml", project)
            if question.preferred:
                _write(here / "pylock.toml", _preferences(question.preferred))
            said = self._run(here, question, "pylock.toml", "--format", "pylock.toml")
            locked = tomllib.loads((here / "pylock.toml").read_text("utf-8"))
            places = self._places(here, question) if _ambiguous(question.indexes) else {}
            needless = hidden & self._wanted_by_nobody(here, question) if hidden else set()
        pinned = _bound(question)
        withdrawn = yanked(said)
        wheels = tuple(
            dataclasses.replace(
                as_chosen(name, version, wheel, pinned.get(name) or places.get(name, "pypi")),
                yanked=withdrawn.get((name, version)),
            )
            for name, version, wheel in selected(locked, question)
        )
        return wheels, needless

    def _project(self, question: Question, stubs: str | None) -> dict[str, Any]:
        """Return the pyproject.toml that puts the question (uv's settings reference)."""
        indexes: list[dict[str, Any]] = [{"name": STUBS, "url": stubs}] if stubs else []
        indexes += [
            {"name": index.name, "url": self._url(index), "explicit": bool(index.packages)}
            for index in question.indexes
        ]
        indexes.append({"name": "pypi", "url": self._index_urls["pypi"], "default": True})
        pins = _bound(question)
        undated = [name for one in question.indexes if one.undated for name in one.packages]
        return {
            "project": {
                "name": _project_name(question),
                "version": "0",
                "requires-python": f"=={question.python}.*",
                "dependencies": list(question.requirements),
            },
            "tool": {
                "uv": {
                    "constraint-dependencies": [*question.constraints, *sorted(pins)],
                    "exclude-dependencies": list(question.exclude),
                    "override-dependencies": [_override(o) for o in question.overrides],
                    "index": indexes,
                    "sources": {package: {"index": pins[package]} for package in sorted(pins)},
                    "exclude-newer-package": dict.fromkeys(undated, False),
                }
            },
        }

    def _url(self, index: Index) -> str:
        return self._index_urls.get(index.name, index.url)

    def _named(self, question: Question) -> dict[str, str]:
        """Return the names of the indexes that are asked, by URL as it may be shown."""
        urls = {index.name: self._url(index) for index in question.indexes}
        urls["pypi"] = self._index_urls["pypi"]
        shown = {redact(url).rstrip("/"): name for name, url in urls.items()}
        return {**{url.replace("****@", "", 1): name for url, name in shown.items()}, **shown}

    def _run(self, here: Path, question: Question, output: str, *options: str) -> str:
        """Let uv write one file; returns what it says besides."""
        from uv import find_uv_bin

        platform = PLATFORMS[question.target.name]
        command = [
            find_uv_bin(), "pip", "compile", "pyproject.toml", "--output-file", output, *options,
            "--python", str(self._python), "--no-python-downloads",
            "--python-version", question.python,
            "--python-platform", platform.uv(question.target.glibc),
            "--only-binary", ":all:", "--no-header", "--no-progress", "--color", "never",
            "--system-certs",
            "--cache-dir", str(self._cache),
        ]  # fmt: skip
        if question.exclude_newer:
            command += ["--exclude-newer", question.exclude_newer]
        if self._offline:
            command.append("--offline")
        for stub in question.stubs:
            command += ["--no-emit-package", stub.name]
        # an empty XDG folder keeps the user's own uv.toml out of the question
        environ = {**self._environ, "XDG_CONFIG_HOME": str(here), "XDG_CONFIG_DIRS": str(here)}
        done = subprocess.run(
            command,
            cwd=here,
            env=environ,
            stdin=subprocess.DEVNULL,  # with a terminal there it folds what it says
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise complaint(
                done.stderr, question.name, _project_name(question), self._named(question)
            )
        return done.stderr

    def _places(self, here: Path, question: Question) -> dict[str, str]:
        """Return the index of each distribution where several may have it."""
        self._run(here, question, "requirements.txt", "--emit-index-annotation", "--no-annotate")
        names = self._named(question)
        text = (here / "requirements.txt").read_text()
        return {name: names.get(url.rstrip("/"), "pypi") for name, url in _ANNOTATED.findall(text)}

    def _wanted_by_nobody(self, here: Path, question: Question) -> set[str]:
        """Return what only the project asks for, as uv annotates it."""
        self._run(here, question, "annotated.txt", "--annotation-style", "line")
        lines = (here / "annotated.txt").read_text().splitlines()
        return {
            line.partition("==")[0].strip()
            for line in lines
            if "# via" in line and line.endswith("(pyproject.toml)") and "," not in line
        }


def _write(path: Path, table: dict[str, Any]) -> None:
    import tomli_w

    path.write_text(tomli_w.dumps(table), "utf-8")


def _bound(question: Question) -> dict[str, str]:
    """Return the index of each distribution that is taken from it and from no other."""
    stubs = {stub.name for stub in question.stubs}
    return {
        package: index.name
        for index in question.indexes
        for package in index.packages
        if package not in stubs
    }


def _ambiguous(indexes: Sequence[Index]) -> bool:
    return any(not index.packages for index in indexes)


def _override(override: ScopedOverride) -> str | dict[str, Any]:
    if override.package is None:
        return override.requirement
    return {"package": {"name": override.package}, "dependencies": [override.requirement]}


def _preferences(versions: Mapping[str, str]) -> dict[str, Any]:
    packages = [{"name": name, "version": versions[name]} for name in sorted(versions)]
    return {"lock-version": "1.0", "created-by": "envlock", "packages": packages}


def _project_name(question: Question) -> str:
    """Return a name that no distribution has: uv leaves out what a project needs of itself."""
    return f"environment-{hashlib.sha256(question.name.encode()).hexdigest()[:16]}"
