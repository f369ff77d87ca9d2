"""From a YAML document to a :class:`Spec`: what the schema cannot say is checked here."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envlock.errors import Location, SpecError
from envlock.requirements import parse_requirement
from envlock.sizes import size_in_bytes
from envlock.spec.accepts import accepts_pattern, check_accepts
from envlock.spec.attestations import parse_attestations
from envlock.spec.clobbers import parse_clobbers
from envlock.spec.conda import parse_conda
from envlock.spec.document import Document, read_document
from envlock.spec.model import (
    Accepts,
    Asked,
    Base,
    Check,
    Debian,
    Image,
    Index,
    Pypi,
    Spec,
    Target,
)
from envlock.spec.overrides import check_overrides, parse_override
from envlock.spec.schema import check_schema
from envlock.spec.vulnerabilities import parse_vulnerabilities
from envlock.urls import carries_secret, is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from envlock.spec.document import Place


def load_spec(path: Path, shown: str | None = None) -> Spec:
    """Read ``envs/<name>.yaml``; raises SpecError with the place of what is wrong.

    ``shown`` is the file's name in errors, by default ``path``.
    """
    document = read_document(path, shown or str(path))
    spec = parse_spec(document, shown or str(path))
    if path.stem != spec.name:
        raise SpecError(
            f"the name {spec.name!r} is not the file's",
            location=document.mark(("name",)).value,
            hint=f"rename the file to {spec.name}.yaml, or write its present name: {path.stem}",
        )
    return spec


def parse_spec(document: Document, shown: str) -> Spec:
    """Check a document against the schema and against itself; raises SpecError."""
    check_schema(document)
    parser = _Parser(document)
    value = document.value
    conda = parse_conda(value.get("conda"), parser.at)
    spec = Spec(
        file=shown,
        name=value["name"],
        description=value.get("description", ""),
        python=value["python"],
        targets=tuple(
            Target(
                name=name,
                glibc=platform["glibc"],
                cuda=platform.get("cuda"),
                linux=platform.get("linux"),
                archspec=platform.get("archspec"),
            )
            for name, platform in sorted(value["platforms"].items())
        ),
        exclude_newer=parser.moment(("exclude-newer",), value.get("exclude-newer")),
        indexes=parser.indexes(value.get("indexes") or {}),
        debian=parser.debian(value.get("debian")),
        conda=conda,
        pypi=parser.pypi(value.get("pypi") or {}),
        overrides=tuple(
            parse_override(parser, ("overrides", n), item, conda)
            for n, item in enumerate(value.get("overrides") or [])
        ),
        accepts=parser.accepts(("accepts",), value.get("accepts")),
        vulnerabilities=parse_vulnerabilities(value.get("vulnerabilities"), parser.at),
        attestations=parse_attestations(value.get("require-attestations"), parser.at),
        image=parser.image(value.get("image") or {}),
        checks=parser.checks(("checks",), value.get("checks"), in_override=False),
    )
    check_overrides(spec)
    check_accepts(spec)
    return spec


def _texts(place: Place, value: Any) -> Iterator[tuple[Place, str]]:
    """Yield every text below a value, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts((*place, key), item)
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _texts((*place, n), item)


class _Parser:
    def __init__(self, document: Document) -> None:
        self._document = document

    def at(self, place: Place) -> Location:
        return self._document.mark(place).value

    def requirement(self, place: Place, text: str) -> Requirement:
        """Return a PEP 508 requirement by name; URLs are refused."""
        try:
            requirement = parse_requirement(text)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            raise SpecError(
                f"{text!r} is not a requirement: {reason}",
                location=self.at(place),
                hint=_meant(text) or 'write it as pip does: "torch>=2.6,<2.7"',
            ) from None
        if requirement.url is not None:
            raise SpecError(
                f"{requirement.name} is asked for by URL",
                location=self.at(place),
                hint=f"a lock is free of hosts: {_ON_AN_INDEX}",
            )
        return requirement

    def asked(self, place: Place, texts: Iterable[str] | None) -> tuple[Asked, ...]:
        """Return a list of requirements with their locations; one a distribution and marker."""
        found: dict[tuple[str, str], Asked] = {}
        for n, text in enumerate(texts or []):
            here = (*place, n)
            requirement = self.requirement(here, text)
            key = (canonicalize_name(requirement.name), str(requirement.marker or ""))
            if key in found:
                raise SpecError(
                    f"{requirement.name} is asked for twice",
                    location=self.at(here),
                    hint=f"the first is in line {found[key].location.line}; "
                    "join the two with a comma",
                )
            found[key] = Asked(requirement=requirement, location=self.at(here))
        return tuple(found.values())

    def moment(self, place: Place, text: str | None) -> datetime | None:
        if text is None:
            return None
        try:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise SpecError(f"{text} is not a moment: {error}", location=self.at(place)) from None

    def indexes(self, table: dict[str, Any]) -> tuple[Index, ...]:
        indexes, owners = [], dict[str, str]()
        for name, value in table.items():
            entry = {"url": value} if isinstance(value, str) else value
            if carries_secret(entry["url"]):
                raise SpecError(
                    f"the URL of the index {name!r} carries a credential",
                    location=Location(
                        file=self.at(("indexes", name)).file,
                        line=self.at(("indexes", name)).line,
                        column=1,
                    ),
                    hint="a spec is checked in: put the credential into netrc, a keyring or "
                    "the machine's config.toml",
                )
            if not entry["url"].startswith("./") and not is_url(entry["url"]):
                raise SpecError(
                    f"{entry['url']!r} is not a URL", location=self.at(("indexes", name))
                )
            packages = tuple(sorted(canonicalize_name(p) for p in entry.get("packages", ())))
            for package in packages:
                if owners.setdefault(package, name) != name:
                    raise SpecError(
                        f"{package} is taken from two indexes, {owners[package]} and {name}",
                        location=self.at(("indexes", name)),
                        hint="a distribution comes from one index",
                    )
            undated = entry.get("exclude-newer") is False
            if undated and not packages:
                raise SpecError(
                    f"exclude-newer is set aside for all that the index {name!r} may have",
                    location=self.at(("indexes", name)),
                    hint="name the packages that come from it: packages: [a, b]",
                )
            indexes.append(Index(name=name, url=entry["url"], packages=packages, undated=undated))
        return tuple(indexes)

    def debian(self, table: dict[str, Any] | None) -> Debian | None:
        if table is None:
            return None
        exclude = tuple(sorted(table.get("exclude", ())))
        both = sorted(set(exclude) & set(table["packages"]))
        if both:
            raise SpecError(
                f"{both[0]} is asked for and excluded",
                location=self.at(("debian", "exclude")),
                hint="remove it from one of the two lists",
            )
        alternatives = table.get("alternatives") or {}
        for link, target in alternatives.items():
            for path in (link, target if target.startswith("/") else f"/{target}"):
                if posixpath.normpath(path) != path:
                    raise SpecError(
                        f"{path!r} is not in its normal form",
                        location=self.at(("debian", "alternatives", link)),
                        hint=f"write {posixpath.normpath(path)}",
                    )
        return Debian(
            suite=table["suite"],
            packages=tuple(sorted(table["packages"])),
            exclude=exclude,
            alternatives=dict(sorted(alternatives.items())),
            location=self.at(("debian", "packages")),
        )

    def pypi(self, table: dict[str, Any]) -> Pypi:
        dependencies = self.asked(("pypi", "dependencies"), table.get("dependencies"))
        exclude = tuple(sorted(canonicalize_name(name) for name in table.get("exclude") or ()))
        for asked in dependencies:
            if canonicalize_name(asked.requirement.name) in exclude:
                raise SpecError(
                    f"{asked.requirement.name} is asked for and excluded",
                    location=asked.location,
                    hint="remove it from pypi.dependencies or from pypi.exclude",
                )
        return Pypi(
            dependencies=dependencies,
            constraints=self.asked(("pypi", "constraints"), table.get("constraints")),
            exclude=exclude,
            clobbers=parse_clobbers("pypi", table.get("clobbers"), self.at),
            location=self.at(("pypi",)) if table else None,
        )

    def accepts(self, place: Place, texts: Iterable[str] | None) -> tuple[Accepts, ...]:
        """Return the lines of accepted breakage."""
        found: dict[str, Accepts] = {}
        for n, text in enumerate(texts or []):
            here = self.at((*place, n))
            pattern = accepts_pattern(text, here)
            if pattern in found:
                raise SpecError(
                    f"{pattern!r} is accepted twice",
                    location=here,
                    hint=f"the first is in line {found[pattern].location.line}; remove one",
                )
            found[pattern] = Accepts(pattern=pattern, location=here)
        return tuple(found.values())

    def checks(self, place: Place, items: Any, *, in_override: bool) -> tuple[Check, ...]:
        checks = []
        for n, item in enumerate(items or []):
            ((kind, value),) = item.items()
            if kind == "version" and not in_override:
                raise SpecError(
                    "version: is a check of an override",
                    location=self.at((*place, n)),
                    hint="the environment's versions are in the lock; use import: or run:",
                )
            one = isinstance(value, str)
            checks.append(
                Check(
                    kind=kind,
                    value=(value,) if one else tuple(value),
                    ready=kind == "gpu" and one,
                )
            )
        return tuple(checks)

    def base(self, text: str | None) -> Base | None:
        """Return the base image's name; what is a name is the registry's business, later."""
        if text is None:
            return None
        location = self.at(("image", "base"))
        if self._document.value.get("debian") is not None:
            raise SpecError(
                "an image has a base or an OS layer of its own, and this asks for both",
                location=location,
                hint="remove debian:, or image.base; what the base lacks goes into the base",
            )
        if "@" in text.partition("/")[0] and "@sha256:" not in text.partition("/")[0]:
            raise SpecError(
                "the base image's name carries a credential",
                location=replace(location, text=""),
                hint="a spec is checked in: docker login or podman login keeps it",
            )
        return Base(reference=text, location=location)

    def image(self, table: dict[str, Any]) -> Image:
        for place, text in _texts(("image",), table):
            if carries_secret(text):
                raise SpecError(
                    "a URL here carries a credential, and everybody who has the image reads it",
                    location=replace(self.at(place), text=""),
                    hint="give it to the container when it starts",
                )
        layers = table.get("layers") or {}
        return Image(
            base=self.base(table.get("base")),
            env=dict(sorted((table.get("env") or {}).items())),
            user=table.get("user"),
            workdir=table.get("workdir"),
            command=tuple(table.get("command") or ()),
            entrypoint=tuple(table.get("entrypoint") or ()),
            labels=dict(sorted((table.get("labels") or {}).items())),
            precompile=bool(table.get("precompile")),
            budget=layers.get("budget"),
            max_size=size_in_bytes(layers["max-size"]) if "max-size" in layers else None,
        )


_ON_AN_INDEX = (
    "put the file on an index and name it in indexes; a folder of wheels in the project is one, "
    "too: {ours: ./wheels}"
)
_TWISTED = re.compile(r"=([<>])|(?<![=<>!~])=(?![=<>])")


def _meant(text: str) -> str | None:
    """Return a hint for a path, and for ``=>``, ``=<`` and ``=``, if that is all that is wrong."""
    if text.startswith((".", "/")) or text.endswith((".whl", ".tar.gz")):
        return f"packages are asked for by name: {_ON_AN_INDEX}"
    right = _TWISTED.sub(lambda found: f"{found[1] or '='}=", text)
    try:
        parse_requirement(right)
    except InvalidRequirement:
        return None
    return f'did you mean "{right}"?'
