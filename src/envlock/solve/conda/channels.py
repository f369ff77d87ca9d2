"""Channels as rattler reads them: by names that no server has, through mirrors.

A channel on HTTP is known to rattler as ``https://conda.invalid/<name>``; its real URLs are
mirrors of that.  So no host gets into a record, and a channel without a URL fails instead
of being looked for elsewhere.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envlock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rattler import Channel, Gateway

    from envlock.channels import ChannelAccess

CANONICAL = "https://conda.invalid"
"""``.invalid`` is reserved for names that do not exist (RFC 2606)."""


def usual_place(name: str) -> str:
    """Return where conda's tools look for a channel of this name."""
    from rattler import Channel

    return Channel(name).base_url


class Channels:
    """The channels of a spec, in order of priority, with one gateway to all of them."""

    def __init__(
        self,
        names: Sequence[str],
        access: Mapping[str, ChannelAccess],
        cache: Path,
        *,
        offline: bool = False,
    ) -> None:
        self._access = {name: access[name] for name in names}
        self._bases = {name: _base(name, access[name]) for name in names}
        self._cache = cache
        self.offline = offline

    @property
    def names(self) -> tuple[str, ...]:
        """The channels' names, first come first."""
        return tuple(self._bases)

    def base(self, name: str) -> str:
        """Return the URL under which rattler knows a channel, with a slash at the end."""
        return f"{self._bases[name]}/"

    def name(self, base: str) -> str:
        """Return the channel of a record; raises KeyError for one that is none of these."""
        return {base: name for name, base in self._bases.items()}[base.rstrip("/")]

    def sources(self) -> list[Channel]:
        """Return the channels for rattler, first come first."""
        from rattler import Channel

        return [Channel(base) for base in self._bases.values()]

    def urls(self) -> list[tuple[str, str]]:
        """Return (name, URL) of every place that may be asked, for messages."""
        return [(name, url) for name, one in self._access.items() for url in one.urls]

    def gateway(self, *, fresh: bool = False) -> Gateway:
        """Return what reads the channels' repodata; caches go to the cache folder.

        fresh: nothing that is cached is used.
        """
        from rattler import Client, Gateway, SourceConfig
        from rattler.networking.middleware import (
            AddHeadersMiddleware,
            MirrorMiddleware,
            RetryMiddleware,
        )

        mirrors = {
            self._bases[name]: list(one.urls)
            for name, one in self._access.items()
            if self._bases[name].startswith(CANONICAL)
        }
        client = Client(
            [RetryMiddleware(2), MirrorMiddleware(mirrors), AddHeadersMiddleware(self._headers)]
        )
        action = "no-cache" if fresh else "cache-or-fetch"
        action = "force-cache-only" if self.offline else action
        return Gateway(
            cache_dir=self._cache,
            default_config=SourceConfig(cache_action=action),  # type: ignore[arg-type]
            client=client,
        )

    def forget(self) -> None:
        """Remove what rattler keeps of packages' records; another solve fetches what it needs."""
        for record in (self._cache / "shards-v1").glob("*.msgpack"):
            with contextlib.suppress(OSError):
                record.unlink()

    def _headers(self, host: str, path: str) -> dict[str, str] | None:
        """Return what is shown to the server of a URL: the channel's headers, or netrc's login."""
        for one in self._access.values():
            for url in one.urls:
                parts = urlsplit(url)
                if parts.hostname == host and f"{path}/".startswith(f"{parts.path}/"):
                    return dict(one.headers) or _netrc(url)
        return None


def _netrc(url: str) -> dict[str, str] | None:
    import requests  # whole, before its parts: two threads would wait for each other's half

    login = requests.utils.get_netrc_auth(url)
    if login is None:
        return None
    return {"Authorization": f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"}


def _base(name: str, access: ChannelAccess) -> str:
    local = [url for url in access.urls if url.startswith("file:")]
    if not local:
        return f"{CANONICAL}/{name}"
    if len(access.urls) > 1:
        raise UsageError(
            f"the channel {name!r} has a folder and other places",
            hint="a channel is one folder (file://) or any number of servers",
        )
    return local[0]
