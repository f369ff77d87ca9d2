"""Where an artifact of a lock can be fetched on this machine.

Each kind has a locator; the lock's names and paths go in, URLs of the machine's indexes,
mirrors and snapshot archives come out, best first.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from envlock.channels import ChannelAccess
from envlock.debian_archive import snapshot_urls
from envlock.errors import FetchError, UsageError
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pypi_simple import DistributionPackage, PyPISimple

    from envlock.debian_archive import Archive
    from envlock.fetch.http import Http
    from envlock.lock.model import Artifact, DebianIndex


class Locator(Protocol):
    """Finds URLs for artifacts of one kind."""

    def urls(self, artifact: Artifact) -> Iterator[str]:
        """Yield URLs, best first; raises FetchError where an index must be asked and fails."""


class SimpleIndex:
    """Package indexes by name, asked through the Simple repository API (PEP 503, 691)."""

    def __init__(self, urls: Mapping[str, str], http: Http) -> None:
        self._urls = urls
        self._http = http
        self._pages: dict[tuple[str, str], list[DistributionPackage]] = {}
        self._lock = threading.Lock()

    def urls(self, artifact: Artifact) -> Iterator[str]:
        for file in self.files(artifact.source, artifact.name):
            if file.filename == artifact.file:
                yield file.url

    def files(self, index: str, project: str) -> list[DistributionPackage]:
        """Return the files that an index has of a project; raises FetchError, UsageError."""
        with self._lock:
            known = self._pages.get((index, project))
        if known is None:
            known = self._ask(index, project)
            with self._lock:
                self._pages[index, project] = known
        return known

    def _ask(self, index: str, project: str) -> list[DistributionPackage]:
        import requests
        from pypi_simple import NoSuchProjectError, UnsupportedRepoVersionError

        client = self._client(index)
        try:
            return client.get_project_page(project).packages
        except NoSuchProjectError:
            return []
        except (requests.RequestException, UnsupportedRepoVersionError, ValueError) as error:
            raise FetchError(
                f"the index {index!r} cannot be read: {redact(str(error))}",
                hint="check the network and the index's URL, then run the command again",
            ) from None

    def _client(self, index: str) -> PyPISimple:
        from pypi_simple import PyPISimple

        url = self._urls.get(index)
        if url is None:
            raise UsageError(
                f"no URL is known for the index {index!r}",
                hint=f"set ENVLOCK_INDEX_{index.upper().replace('-', '_')} "
                "or [indexes] in config.toml",
            )
        return PyPISimple(url, session=self._http.session())


class CondaChannels:
    """The places of each channel, in the order that the machine's configuration has them in."""

    def __init__(self, access: Mapping[str, ChannelAccess]) -> None:
        self._access = access

    def urls(self, artifact: Artifact) -> Iterator[str]:
        for url in self._access.get(artifact.source, ChannelAccess()).urls:
            yield f"{url}/{artifact.path}"


class DebianMirrors:
    """Mirrors first, then the snapshot archive, as the lock's indexes say."""

    def __init__(
        self,
        archives: Sequence[Archive],
        indexes: Sequence[DebianIndex],
        snapshot: str | None = None,
    ) -> None:
        self._archives = archives
        self._indexes = indexes
        self._snapshot = snapshot

    def urls(self, artifact: Artifact) -> Iterator[str]:
        for archive in self._archives:
            if archive.name == artifact.source:
                for url in archive.urls:
                    yield f"{url}/{artifact.path}"
        if self._snapshot:
            for index in self._indexes:
                if index.archive == artifact.source:
                    yield from snapshot_urls(self._snapshot, index, artifact.path)
