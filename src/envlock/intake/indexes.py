"""Names for package indexes that other tools' files know by their URLs alone."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envlock.errors import SpecError
from envlock.urls import is_url

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from envlock.errors import Location

_SAYS_NOTHING = frozenset({"api", "download", "downloads", "files", "index", "packages", "pkgs",
                           "pypi", "python", "root", "simple", "wheels", "whl", "www"})  # fmt: skip
"""Parts of URLs that tell no index from another."""
_MOST = 40
"""Characters; the name is also a part of a variable's, and people type it."""


def add_index(indexes: MutableMapping[str, str], url: str, location: Location) -> str:
    """Return the name of an index in ``indexes`` (name to URL), which gets one if it has none.

    It is made of what the URL says: ``pytorch-cu124`` for download.pytorch.org/whl/cu124.
    location: where the URL stands.  Raises SpecError for what is no URL.
    """
    if not is_url(url):
        raise SpecError(
            f"{url!r} is no URL of an index",
            location=location,
            hint="write https://HOST/PATH, or file:///FOLDER",
        )
    known = next((name for name, place in indexes.items() if place == url), None)
    if known is not None:
        return known
    made = _made_of(url)
    names = [made, *(f"{made}-{number}" for number in range(2, len(indexes) + 3))]
    name = next(one for one in names if one not in indexes and one != "pypi")
    indexes[name] = url
    return name


def _made_of(url: str) -> str:
    parts = urlsplit(url)
    words = [_plain(_owner(parts.hostname or "")), *map(_plain, parts.path.split("/"))]
    host, *path = (word if word not in _SAYS_NOTHING else "" for word in words)
    last = next((word for word in reversed(path) if word), "")
    return "-".join(dict.fromkeys(filter(None, (host, last))))[:_MOST].strip("-") or "extra"


def _owner(host: str) -> str:
    """Return the part of a host's name that says whose it is, nothing for an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        return labels[-2] if len(labels) > 1 else host.replace("localhost", "local")
    return ""


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
