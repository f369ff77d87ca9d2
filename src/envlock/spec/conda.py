"""The ``conda:`` section of a spec, and what overrides say in conda's language.

Match specs are read by rattler (``matchspec.py``), only for a spec that has the section.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.errors import Location, SpecError
from envlock.spec.clobbers import parse_clobbers
from envlock.spec.matchspec import is_subdir, match_name, placed, refusal, subdir_of
from envlock.spec.model import Conda, CondaAsked, CondaChannel
from envlock.urls import carries_secret, is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from envlock.spec.document import Place

    Where = Callable[[Place], Location]
    """Tells where a value stands."""

_CHANNEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
_NAME = re.compile(r"[a-z0-9_][a-z0-9._+-]*")
_NO_CHANNELS = {
    "defaults": "defaults is conda's name for several channels: write pkgs/main, and pkgs/r",
    "nodefaults": "leave it out: no channel but those listed is ever read",
    "local": 'give the folder a name: {name: ours, url: "file:///path/to/conda-bld"}',
    "pip": "what pip is to install stands under pypi.dependencies",
}
"""Names that conda's tools take for something else than a channel, and what to write."""

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
        link_scripts=_link_scripts(table.get("link-scripts") or {}, at),
        clobbers=parse_clobbers("conda", table.get("clobbers"), at),
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
    if carries_secret(text) or "://" in text:
        raise SpecError(
            "a package is asked for by URL",
            location=Location(file=location.file, line=location.line, column=location.column),
            hint="a lock is free of hosts: name the channel in conda.channels, and the package "
            "as channel::package",
        )
    found = placed(written, channels)
    if found.channel is not None and found.channel not in channels:
        raise SpecError(
            f"{written} names the channel {found.channel!r}, which is not in conda.channels",
            location=location,
            hint=_NO_CHANNELS.get(found.channel)
            or f"add it, or choose one of: {', '.join(channels)}",
        )
    return CondaAsked(
        spec=written,
        bare=found.bare,
        name=_name(found.bare, location),
        channel=found.channel,
        subdir=found.subdir or subdir_of(found.bare),
        location=location,
    )


def _name(bare: str, location: Location) -> str:
    name = match_name(bare)
    if name is None:
        why = refusal(bare)
        raise SpecError(
            f"{bare!r} is not a match spec: {why.reason}", location=location, hint=why.hint
        )
    if name.startswith("__"):
        raise SpecError(f"{name} is a virtual package", location=location, hint=_VIRTUAL)
    return name


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
        _check_channel(name, here, in_place=url is None)
        if url is not None and not is_url(url):
            raise SpecError(
                f"{url!r} is not a URL",
                location=at(("conda", "channels", n, "url")),
                hint="write it as https://host/path, http://host/path or file:///path",
            )
        if url is not None and is_subdir(url.rstrip("/").rpartition("/")[2]):
            raise SpecError(
                f"{url} is a folder of a channel",
                location=at(("conda", "channels", n, "url")),
                hint="write the URL without its last part: the folders of each platform and noarch "
                "are read",
            )
        if name in channels:
            raise SpecError(f"the channel {name} stands twice", location=here)
        channels[name] = CondaChannel(name=name, url=url.rstrip("/") if url else None)
    return tuple(channels.values())


def _check_channel(name: str, here: Location, *, in_place: bool) -> None:
    """Refuse what is no channel's name; in_place: nothing says where it is."""
    head, _, last = name.rpartition("/")
    if "://" in name:
        message = f"{name} is a URL, not a name"
        hint = "a lock holds channels' names: write {name: internal, url: ...}"
    elif not _CHANNEL_NAME.fullmatch(name):
        message = f"{name!r} cannot be the name of a channel"
        hint = "a name has letters, digits, '.', '_', '+' and '-', and parts between slashes"
    elif in_place and name in _NO_CHANNELS:
        message, hint = f"{name} is no channel", _NO_CHANNELS[name]
    elif in_place and head and is_subdir(last):
        message = f"{name} is a folder of a channel"
        hint = f"write {head}: the folders of each platform and noarch are read"
    else:
        return
    raise SpecError(message, location=here, hint=hint)


def _link_scripts(table: dict[str, str], at: Where) -> dict[str, str]:
    for package in table:
        if not _NAME.fullmatch(package):
            raise SpecError(
                f"{package!r} is no name of a conda package",
                location=at(("conda", "link-scripts", package)),
            )
    return dict(sorted(table.items()))


def _map(table: dict[str, str], at: Where) -> dict[str, str]:
    found: dict[str, str] = {}
    for package, distribution in table.items():
        if not _NAME.fullmatch(package):
            raise SpecError(
                f"{package!r} is no name of a conda package", location=at(("conda", "map", package))
            )
        found[package] = canonicalize_name(distribution)
    return dict(sorted(found.items()))
