"""Where artifacts are, in the words of files that name hosts; envlock's own locks do not."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlsplit, urlunsplit

from envlock.errors import EnvlockError, FetchError, UsageError
from envlock.files import disk_errors, read_pieces
from envlock.urls import carries_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.channels import ChannelAccess
    from envlock.fetch.indexes import Locator
    from envlock.fetch.store import Store
    from envlock.lock.model import Artifact


class NoChecksumError(EnvlockError):
    """A format wants a checksum that neither the lock nor the store has."""


@dataclass(slots=True, kw_only=True)
class Places:
    """The machine's channels and indexes; variables: channels are written as variables.

    Raises UsageError for a place that is not known or whose URL is a secret, FetchError for
    a wheel that its index does not have.
    """

    channels: Mapping[str, ChannelAccess]
    indexes: Locator
    store: Store
    variables: bool = False
    used: set[str] = field(default_factory=set)
    """The variables that were written."""

    def channel(self, name: str) -> str:
        """Return the URL of a channel, without a slash at the end."""
        if self.variables:
            self.used.add(variable(name))
            return f"${{{variable(name)}}}"
        access = self.channels.get(name)
        if access is None or not access.urls:
            raise UsageError(
                f"no URL is known for the channel {name!r}", hint=f"set {variable(name)}"
            )
        return _public(access.urls[0], f"the channel {name!r}")

    def url(self, artifact: Artifact) -> str:
        """Return the URL of a conda package or a wheel; asks the index for the latter."""
        if artifact.kind == "conda":
            return f"{self.channel(artifact.source)}/{artifact.path}"
        for url in self.indexes.urls(artifact):
            return _public(urldefrag(url).url, f"the index {artifact.source!r}")
        raise FetchError(
            f"the index {artifact.source!r} does not have {artifact.file}",
            hint="it may be another index than the lock was solved against",
        )

    def md5(self, artifact: Artifact) -> str:
        """Return a conda package's md5: as locked, else of the verified file in the store."""
        if artifact.conda is not None and artifact.conda.md5 is not None:
            return artifact.conda.md5
        path = self.store.get(artifact.sha256, artifact.size)
        if path is None:
            raise NoChecksumError(
                f"the channel {artifact.source!r} does not tell the md5 of {artifact.file}, and "
                "this format wants one",
                hint="envlock build fetches the package, and then it can be computed",
            )
        digest = hashlib.md5(usedforsecurity=False)
        with disk_errors(path), path.open("rb") as stream:
            for piece in read_pieces(stream):
                digest.update(piece)
        return digest.hexdigest()


def variable(channel: str) -> str:
    """Return the variable that tells envlock where a channel is."""
    return f"ENVLOCK_CHANNEL_{re.sub(r'[^A-Za-z0-9]', '_', channel).upper()}"


def _public(url: str, what: str) -> str:
    """Return a URL without userinfo, which whoever reads the file does not need."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if carries_secret(bare):
        raise UsageError(
            f"the URL of {what} has a credential in it, and an exported file is for others, too",
            hint="give it to the machine as a token, a header or in netrc",
        )
    return bare
