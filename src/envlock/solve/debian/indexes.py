"""Read the indexes of all suites: mirrors in order, each verified from the signature down."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from envlock.debian_archive import snapshot_base, timestamp
from envlock.errors import ArtifactError, EnvlockError, FetchError, IntegrityError, UsageError
from envlock.lock.model import DebianIndex
from envlock.solve.debian.packages import PackageIndex, has_index, read_packages
from envlock.solve.debian.release import (
    LIMIT,
    Release,
    check_release,
    read_keyring,
    read_release,
)
from envlock.solve.debian.transport import is_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.debian_archive import Archive
    from envlock.progress import Reporter
    from envlock.solve.debian.request import DebianRequest
    from envlock.solve.debian.transport import Transport

_OPTIONAL = "-updates"
"""Suites that do not exist for every release at every time.  Those with security updates are not
among them: whoever can answer 404 on the way could hold them back."""

_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+\-]*")
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+\-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Where and when to read indexes from a snapshot archive instead of the mirrors."""

    template: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class Source:
    """One suite that was read: from which archive, and what its Release said."""

    archive: Archive
    index: DebianIndex


@dataclass(frozen=True, slots=True)
class Indexes:
    """All suites together; ``packages`` name a source by its position in ``sources``."""

    packages: PackageIndex
    sources: list[Source] = field(default_factory=list)


def read_indexes(
    request: DebianRequest,
    architecture: str,
    archives: Sequence[Archive],
    transport: Transport,
    reporter: Reporter,
    past: Past | None,
) -> Indexes:
    """Return the packages of every suite of ``archives`` for one dpkg architecture.

    Raises FetchError, IntegrityError, or UsageError for a suite that lacks what is asked.
    """
    for text, pattern in [(request.suite, _SUITE), *((c, _COMPONENT) for c in request.components)]:
        if not pattern.fullmatch(text):
            raise UsageError(f"{text!r} is neither a Debian suite nor a component")
    result = Indexes(PackageIndex(architecture))
    wanted = [(archive, suite) for archive in archives for suite in archive.suites]
    with reporter.task(f"Debian {request.suite} indexes", len(wanted)) as task:
        for archive, suite in wanted:
            reader = _Reader(archive, suite, transport, reporter, past)
            _take(result, reader, request, architecture)
            task.advance(1)
    if not any(source.index.suite == request.suite for source in result.sources):
        raise UsageError(
            f"none of this machine's archives has the suite {request.suite!r} itself",
            hint="configure a mirror for it: ENVLOCK_MIRROR_DEBIAN, or [mirrors] in config.toml",
        )
    return result


def _take(result: Indexes, reader: _Reader, request: DebianRequest, architecture: str) -> None:
    """Read one suite into ``result``; skip an optional one that does not exist."""
    try:
        release, texts = reader.read(request.components, architecture, request.suite)
    except FetchError as error:
        if not is_missing(error):
            raise
        if not reader.suite.endswith(_OPTIONAL):
            raise _no_suite(reader, error) from error
        reader.reporter.warn(
            f"{reader.archive.name} has no suite {reader.suite}: solved without it"
        )
        return
    index = DebianIndex(
        archive=reader.archive.name,
        suite=reader.suite,
        date=timestamp(release.date),
        sha256=release.sha256,
    )
    for text in texts:
        result.packages.add(text, len(result.sources))
    result.sources.append(Source(reader.archive, index))


def _no_suite(reader: _Reader, error: FetchError) -> FetchError:
    """Return the error for a suite that must be there, and that no mirror has."""
    name, suite = reader.archive.name, reader.suite
    hint = f"check the name of the suite, and the mirror of {name}"
    if suite.endswith("-security"):
        hint += (
            "; without this suite the image would lack security updates: if it really has none, "
            f"take it out of the apt sources, or leave out the mirror of {name}"
        )
    return FetchError(f"{name} has no suite {suite}: {error.message}", where=error.where, hint=hint)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one suite of one archive."""

    archive: Archive
    suite: str
    transport: Transport
    reporter: Reporter
    past: Past | None

    def bases(self) -> Sequence[str]:
        """Return the URLs to try for this archive, without a slash at the end."""
        if self.past is not None:
            return [snapshot_base(self.past.template, self.archive.name, self.past.moment)]
        return [url.rstrip("/") for url in self.archive.urls]

    def read(
        self, components: Sequence[str], architecture: str, main_suite: str
    ) -> tuple[Release, list[bytes]]:
        """Return the first mirror's Release and Packages that are whole and in date."""
        keyring = read_keyring(self.archive.keyring)
        errors: list[EnvlockError] = []
        for base in self.bases():
            url = f"{base}/dists/{self.suite}"
            try:
                release = self._release(url, keyring)
                texts = self._packages(url, release, components, architecture, main_suite)
            except (FetchError, ArtifactError) as error:
                errors.append(error)
                if not is_missing(error):
                    self.reporter.warn(f"{error.where or url}: {error.message}")
            else:
                return release, texts
        raise self._failure(errors)

    def _release(self, url: str, keyring: bytes) -> Release:
        where = f"{url}/InRelease"
        try:
            release = read_release(self.transport.read(where, limit=LIMIT), keyring)
            check_release(release, self.suite, now=self._now())
        except (IntegrityError, ArtifactError) as error:
            if error.where is None:
                error.where = where
            raise
        if self.past is not None and release.date > self.past.moment:
            raise IntegrityError("the snapshot is newer than the moment asked for", where=where)
        return release

    def _now(self) -> datetime | None:
        """Return the time to hold ``Valid-Until`` against; the past is never valid today."""
        if self.past is not None or not self.archive.check_valid_until:
            return None
        return datetime.now(UTC)

    def _packages(
        self,
        url: str,
        release: Release,
        components: Sequence[str],
        architecture: str,
        main_suite: str,
    ) -> list[bytes]:
        texts = []
        for component in components:
            if has_index(release, component, architecture):
                texts.append(read_packages(self.transport, url, release, component, architecture))
            elif self.suite == main_suite:
                raise UsageError(
                    f"the suite {self.suite} has no {component} packages for {architecture}",
                    details=[
                        f"components: {', '.join(release.components)}",
                        f"architectures: {', '.join(release.architectures)}",
                    ],
                )
        return texts

    def _failure(self, errors: Sequence[EnvlockError]) -> EnvlockError:
        """Return the error to raise when no mirror worked: the only one, or all in one."""
        if not errors:
            name = self.archive.name
            return UsageError(
                f"the archive {name} has no URL on this machine",
                hint=f"name a mirror: ENVLOCK_MIRROR_{name.upper().replace('-', '_')}",
            )
        present = [error for error in errors if not is_missing(error)] or list(errors[:1])
        if len(present) == 1:
            return present[0]
        kind = IntegrityError if isinstance(present[0], IntegrityError) else FetchError
        details = [f"{error.where or '?'}: {error.message}" for error in present]
        return kind(f"no mirror of {self.archive.name} has a usable {self.suite}", details=details)
