"""Where conda channels are on this machine, and what is shown to their servers.

Read from the tables and variables of :mod:`envlock.config`.  Channel URLs carry no
credentials, not even in the machine's configuration: conda's tools write them down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envlock.errors import UsageError
from envlock.urls import carries_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOW_URL = "write it as https://host/path, http://host/path or file:///path"
HOW_URLS = f"{HOW_URL}, several with spaces between them"
_KEYS = {"urls", "token", "headers"}
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAccess:
    """One channel as the machine reaches it.

    urls: in order of preference, without a slash at the end; empty where the spec or the
    channel's usual place decides; headers: sent to the servers of these URLs only.
    """

    urls: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """What the machine says of channels.

    alias: URLs below which channels lie by their names; channels: by name.
    """

    alias: tuple[str, ...] = ()
    channels: Mapping[str, ChannelAccess] = field(default_factory=dict)

    def access(self, name: str, url: str | None, usual: Callable[[str], str]) -> ChannelAccess:
        """Return how a channel is reached: as configured, by the spec's ``url``, or ``usual``.

        ``usual`` returns the place that the libraries know for a name.
        """
        own = self.channels.get(name, ChannelAccess())
        urls = own.urls or ((url,) if url else ()) or tuple(f"{a}/{name}" for a in self.alias)
        return ChannelAccess(urls=urls or (usual(name).rstrip("/"),), headers=own.headers)


def channel_settings(
    table: Mapping[str, Any],
    alias: object,
    environ: Mapping[str, str],
    *,
    where: str,
    is_url: Callable[[str], bool],
) -> ChannelSettings:
    """Return the settings of ``[channels]``, ``channel-alias`` and ``ENVLOCK_CHANNEL*``.

    Raises UsageError, which repeats no value; ``where`` names the file of ``table``.
    """
    channels = {name: _access(name, item, where, is_url) for name, item in table.items()}
    for variable, urls in sorted(environ.items()):
        if variable.startswith("ENVLOCK_CHANNEL_") and urls:
            name = _named(variable.removeprefix("ENVLOCK_CHANNEL_"), channels)
            old = channels.get(name, ChannelAccess())
            found = _urls(variable, urls, None, is_url)
            channels[name] = ChannelAccess(urls=found, headers=old.headers)
    for variable, token in sorted(environ.items()):
        if variable.startswith("ENVLOCK_TOKEN_") and token:
            name = _named(variable.removeprefix("ENVLOCK_TOKEN_"), channels)
            old = channels.get(name, ChannelAccess())
            channels[name] = ChannelAccess(
                urls=old.urls, headers={**old.headers, **_bearer(token, variable, None)}
            )
    variable = "ENVLOCK_CHANNELS"
    if environ.get(variable):
        return ChannelSettings(
            alias=_urls(variable, environ[variable], None, is_url), channels=channels
        )
    found = _urls("channel-alias", alias, where, is_url) if alias is not None else ()
    return ChannelSettings(alias=found, channels=channels)


def _named(text: str, known: Mapping[str, object]) -> str:
    """Return the channel that a variable's name means: ``CONDA_FORGE`` is ``conda-forge``."""
    plain = text.lower().replace("_", "-")
    return next((n for n in known if re.sub(r"[^a-z0-9]", "-", n.lower()) == plain), plain)


def _access(name: str, value: object, where: str, is_url: Callable[[str], bool]) -> ChannelAccess:
    place = f"channels.{name}"
    if not isinstance(value, dict):
        return ChannelAccess(urls=_urls(place, value, where, is_url))
    unknown = sorted(value.keys() - _KEYS)
    if unknown:
        raise UsageError(
            f"unknown setting {place}.{unknown[0]}",
            where=where,
            hint=f"known settings: {', '.join(sorted(_KEYS))}",
        )
    headers = value.get("headers", {})
    if not isinstance(headers, dict):
        raise UsageError(f"{place}.headers must be a table", where=where)
    for key, text in headers.items():
        if not _HEADER.fullmatch(key) or not _is_header(text):
            raise UsageError(f"{place}.headers: {key} is no HTTP header", where=where)
    token = value.get("token")
    own = _bearer(token, f"{place}.token", where) if token is not None else {}
    urls = _urls(f"{place}.urls", value["urls"], where, is_url) if "urls" in value else ()
    return ChannelAccess(urls=urls, headers={**headers, **own})


def _bearer(token: object, place: str, where: str | None) -> dict[str, str]:
    if not _is_header(token):
        raise UsageError(f"{place} is no token", where=where, hint="write it as one line of text")
    return {"Authorization": f"Bearer {token}"}


def _is_header(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable() and value.isascii()


def _urls(
    place: str, value: object, where: str | None, is_url: Callable[[str], bool]
) -> tuple[str, ...]:
    items = value.split() if isinstance(value, str) else value
    if not isinstance(items, list) or not items or not all(isinstance(u, str) for u in items):
        raise UsageError(f"{place} is no URL or list of URLs", where=where)
    if any(carries_secret(url) for url in items):
        raise UsageError(
            f"{place} is a URL with a credential in it",
            where=where,
            hint="conda's tools would write it down: give the token as channels.NAME.token or "
            ".headers in config.toml, as ENVLOCK_TOKEN_<NAME>, or in netrc",
        )
    if not all(is_url(url) for url in items):
        raise UsageError(
            f"{place} is no URL or list of URLs",
            where=where,
            hint=HOW_URLS,
        )
    return tuple(url.rstrip("/") for url in items)
