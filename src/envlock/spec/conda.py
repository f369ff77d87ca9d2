"""The ``conda:`` section of a spec, and what overrides say in conda's language.

Match specs are read by rattler (CEP 29), which is loaded only for a spec that has the section.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from envlock.errors import Location, SpecError
from envlock.spec.model import Conda, CondaAsked, CondaChannel
from envlock.urls import carries_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from envlock.spec.document import Place

    Where = Callable[[Place], Location]
    """Tells where a value stands."""

_CHANNEL = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._/+-]*)::?(?=[^:])(.*)$", re.DOTALL)
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
_NAME = re.compile(r"[a-z0-9_][a-z0-9._+-]*")
_EXTRAS = re.compile(r"[A-Za-z0-9._-]+\s*\[[A-Za-z0-9._, -]+\].*", re.DOTALL)
"""pip's ``requests[socks]``; conda's brackets have ``key=value`` in them."""

_VIRTUAL = "virtual packages stand under platforms: glibc, cuda, linux, archspec"


def parse_conda(table: dict[str, Any] | None, at: Where) -> Conda | None:
    """Return the section as data; raises SpecError."""
    if table is None:
        return None
    channels = _channels(table["channels"], at)
    known = tuple(channel.name for channel in channels)
    return Conda(
        channels=channels,
        priority=table.get("channel-priority", "strict"),
        dependencies=parse_asked(
            ("conda", "dependencies"), table.get("dependencies"), at, channels=known
        ),
        constraints=parse_asked(
            ("conda", "constraints"), table.get("constraints"), at, channels=known
        ),
        map=_map(table.get("map") or {}, at),
        location=at(("conda",)),
    )


def parse_asked(
    place: Place, texts: Iterable[str] | None, at: Where, *, channels: Iterable[str]
) -> tuple[CondaAsked, ...]:
    """Return a list of match specs with their places; each package once.  Raises SpecError."""
    found: dict[str, CondaAsked] = {}
    for n, text in enumerate(texts or ()):
        asked = _asked(text, at((*place, n)), tuple(channels))
        if asked.name in found:
            raise SpecError(
                f"{asked.name} is asked for twice",
                location=asked.location,
                hint=f"the first is in line {found[asked.name].location.line}; "
                "join the two with a comma",
            )
        found[asked.name] = asked
    return tuple(found.values())


def _asked(text: str, location: Location, channels: tuple[str, ...]) -> CondaAsked:
    written = " ".join(text.split())
    match = _CHANNEL.match(written)
    channel, bare = (match[1], match[2]) if match else (None, written)
    if carries_secret(text) or "://" in text:
        raise SpecError(
            "a package is asked for by URL",
            location=Location(file=location.file, line=location.line, column=location.column),
            hint="a lock is free of hosts: name the channel in conda.channels, and the package "
            "as channel::package",
        )
    if channel is not None and channel not in channels:
        raise SpecError(
            f"{written} names the channel {channel!r}, which is not in conda.channels",
            location=location,
            hint=f"add it, or choose one of: {', '.join(channels)}",
        )
    return CondaAsked(
        spec=written, bare=bare, name=_name(bare, location), channel=channel, location=location
    )


def _name(bare: str, location: Location) -> str:
    name = match_name(bare)
    if name is None:
        raise SpecError(
            f"{bare!r} is not a match spec: {_reason(bare)}",
            location=location,
            hint="extras are pip's: ask for it under pypi.dependencies, or for what the extra needs"
            if _EXTRAS.fullmatch(bare)
            else 'write it as conda does: "numpy", "numpy>=1.26,<3", "pytorch=2.4.*=*cuda*"',
        )
    if name.startswith("__"):
        raise SpecError(f"{name} is a virtual package", location=location, hint=_VIRTUAL)
    return name


def match_name(text: str) -> str | None:
    """Return the package that a match spec is about, or None for a text that is none."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError, InvalidPackageNameError

    try:
        spec = MatchSpec(text)
    except (InvalidMatchSpecError, InvalidPackageNameError):
        return None
    if spec.channel is not None or spec.file_name is not None or "url=" in str(spec):
        return None
    name = spec.name.as_package_name()
    return name.normalized if name is not None else None


def _reason(text: str) -> str:
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError, InvalidPackageNameError

    try:
        MatchSpec(text)
    except (InvalidMatchSpecError, InvalidPackageNameError) as error:
        return str(error).splitlines()[0]
    return "it must name a package, and a channel only as channel::package"


def _channels(items: list[Any], at: Where) -> tuple[CondaChannel, ...]:
    channels: dict[str, CondaChannel] = {}
    for n, item in enumerate(items):
        here = at(("conda", "channels", n))
        entry = {"name": item} if isinstance(item, str) else item
        name, url = entry["name"], entry.get("url")
        if carries_secret(name) or (url is not None and carries_secret(url)):
            raise SpecError(
                f"the URL of a channel ({n + 1}. of conda.channels) carries a credential",
                location=Location(file=here.file, line=here.line, column=1),
                hint="a spec is checked in: give it to the machine instead, as channels.NAME.token "
                "or .headers in config.toml, ENVLOCK_TOKEN_<NAME>, or netrc",
            )
        if "://" in name:
            raise SpecError(
                f"{name} is a URL, not a name",
                location=here,
                hint="a lock holds channels' names: write {name: internal, url: ...}",
            )
        if not _CHANNEL_NAME.fullmatch(name):
            raise SpecError(
                f"{name!r} cannot be the name of a channel",
                location=here,
                hint="a name has letters, digits, '.', '_', '+' and '-', and parts between slashes",
            )
        if url is not None and not _is_url(url):
            raise SpecError(
                f"{url!r} is not a URL",
                location=at(("conda", "channels", n, "url")),
                hint="write it as https://host/path, http://host/path or file:///path",
            )
        if name in channels:
            raise SpecError(f"the channel {name} stands twice", location=here)
        channels[name] = CondaChannel(name=name, url=url.rstrip("/") if url else None)
    return tuple(channels.values())


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme == "file" or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


def _map(table: dict[str, str], at: Where) -> dict[str, str]:
    found: dict[str, str] = {}
    for package, distribution in table.items():
        if not _NAME.fullmatch(package):
            raise SpecError(
                f"{package!r} is no name of a conda package", location=at(("conda", "map", package))
            )
        found[package] = canonicalize_name(distribution)
    return dict(sorted(found.items()))
