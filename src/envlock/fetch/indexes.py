"""Where an artifact of a lock can be fetched on this machine.

Each kind has a locator; the lock's names and paths go in, URLs of the machine's indexes,
mirrors and snapshot archives come out, best first.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Protocol

from envlock.channels import ChannelAccess
from envlock.debian_archive import snapshot_urls
from envlock.errors import FetchError, UsageError
from envlock.fetch.http import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pypi_simple import DistributionPackage

    from envlock.debian_archive import Archive
    from envlock.fetch.http import Http, Page
    from envlock.lock.model import Artifact, DebianIndex


_LIMIT = 128 * 1024 * 1024
"""Bytes of a project's page; those of projects with nightly builds have some tens of millions."""


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
        from packaging.utils import canonicalize_name
        from pypi_simple import ACCEPT_ANY, UnsupportedRepoVersionError

        url = f"{self._url(index).rstrip('/')}/{canonicalize_name(project)}/"
        hint = "check the network and the index's URL, then run the command again"
        try:
            page = self._http.page(url, accept=ACCEPT_ANY, limit=_LIMIT)
            return _packages(page, project)
        except NotFoundError:
            return []
        except FetchError as error:
            problem, details = error.message, (f"  {error.where}",) if error.where else ()
            if self._http.offline and error.hint:
                hint = error.hint
        except (
            UnsupportedRepoVersionError, ValueError, KeyError, TypeError, AttributeError,
            RecursionError,
        ) as error:  # what a page that is none makes of its readers  # fmt: skip
            problem, details = f"its page of {project} is not understood: {error}", ()
        raise FetchError(
            f"the index {index!r} cannot be read: {problem}",
            details=details,
            hint=hint,
        )

    def _url(self, index: str) -> str:
        url = self._urls.get(index)
        if url is None:
            raise UsageError(
                f"no URL is known for the index {index!r}",
                hint=f"set ENVLOCK_INDEX_{index.upper().replace('-', '_')} "
                "or [indexes] in config.toml",
            )
        return url


def _packages(page: Page, project: str) -> list[DistributionPackage]:
    """Return the files of a project's page (PEP 503, 691); raises what broken ones cause."""
    from pypi_simple import ProjectPage

    if "json" in page.kind:
        return ProjectPage.from_json_data(json.loads(page.content), page.url).packages
    if page.kind and "html" not in page.kind:
        raise ValueError(f"it came as {page.kind[:80]!r}")
    return ProjectPage.from_html(project, page.content, page.url).packages


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
        """Yield mirrors, then snapshots; raises UsageError where the machine knows neither."""
        mirrors = [u for one in self._archives if one.name == artifact.source for u in one.urls]
        if not mirrors and not self._snapshot:
            variable = artifact.source.upper().replace("-", "_")
            raise UsageError(
                f"{artifact.file}: no mirror of {artifact.source} is known to this machine",
                hint=f"set ENVLOCK_MIRROR_{variable} or [mirrors] in config.toml, or add the "
                "archive to apt's sources",
            )
        yield from (f"{url}/{artifact.path}" for url in mirrors)
        if self._snapshot:
            for index in self._indexes:
                if index.archive == artifact.source:
                    yield from snapshot_urls(self._snapshot, index, artifact.path)
