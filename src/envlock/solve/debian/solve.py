"""The Debian solve, step by step: indexes, choice, artifacts, maintainer scripts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from typing import TYPE_CHECKING

from envlock.debian_archive import RELEASES, parse_timestamp, snapshot_base, snapshot_urls
from envlock.errors import ArtifactError, UsageError
from envlock.layers.deb import read_control
from envlock.lock.model import Artifact, DebianSection
from envlock.solve.debian.findings import Image
from envlock.solve.debian.indexes import Past, read_indexes
from envlock.solve.debian.request import DebianRequest, DebianSolution
from envlock.solve.debian.scripts import classify_scripts
from envlock.solve.debian.solver import choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from envlock.debian_archive import Archive
    from envlock.lock.model import MaintainerScript
    from envlock.platforms import Platform
    from envlock.progress import Reporter, Task
    from envlock.solve.debian.indexes import Source
    from envlock.solve.debian.packages import DebianPackage
    from envlock.solve.debian.transport import Transport

_UBUNTUS = frozenset({"bionic", "focal", "jammy", "noble", "plucky", "questing", "resolute"})
"""Suites that people know from another distribution's images."""

WORKERS = 8
"""Packages fetched at the same time; they are many and small."""


def solve_debian(
    request: DebianRequest,
    platform: Platform,
    archives: Sequence[Archive],
    transport: Transport,
    reporter: Reporter,
    *,
    exclude_newer: datetime | None = None,
    snapshot: str | None = None,
) -> DebianSolution:
    """Return the exact packages that ``request`` means on ``platform`` today.

    With ``exclude_newer`` (aware) and ``snapshot``, a template for
    :func:`envlock.debian_archive.snapshot_base`, it means them at that moment.  Raises
    UsageError, UnsatisfiableError, FetchError or ArtifactError.
    """
    if not archives:
        raise _no_archives(request)
    past = Past(template=snapshot, moment=exclude_newer) if exclude_newer and snapshot else None
    indexes = read_indexes(request, platform.debian, archives, transport, reporter, past)
    if exclude_newer and past is None:
        _warn_newer(indexes.sources, exclude_newer, reporter)
    chosen = choose(indexes.packages, request.packages, request.exclude, platform.debian)
    urls = [_urls(package, indexes.sources, snapshot, past) for package in chosen]
    scripts = _read_scripts(chosen, urls, request.alternatives, transport, reporter)
    return DebianSolution(
        artifacts=tuple(_artifact(package, indexes.sources) for package in chosen),
        section=DebianSection(
            suite=request.suite,
            architecture=platform.debian,
            indexes=tuple(
                sorted((s.index for s in indexes.sources), key=lambda i: (i.archive, i.suite))
            ),
            scripts=tuple(scripts),
        ),
    )


def _no_archives(request: DebianRequest) -> UsageError:
    suite, meant = request.suite, ""
    if suite in _UBUNTUS:
        meant = f"{suite} is Ubuntu's, and the OS layer is Debian's: write bookworm or trixie; or "
    elif suite not in RELEASES:
        close = get_close_matches(suite, RELEASES, n=1)
        meant = f"did you mean {close[0]}? or " if close else ""
    return UsageError(
        f"this machine has no apt sources for {request.distribution} {suite}",
        hint=f"{meant}name a mirror: ENVLOCK_MIRROR_DEBIAN and ENVLOCK_MIRROR_DEBIAN_SECURITY, or "
        "[mirrors] in config.toml; and the keys that sign it: ENVLOCK_KEYRING_DEBIAN "
        "(the package debian-archive-keyring has them)",
    )


def _warn_newer(sources: Sequence[Source], exclude_newer: datetime, reporter: Reporter) -> None:
    newer = [s.index for s in sources if parse_timestamp(s.index.date) > exclude_newer]
    if newer:
        latest = max(parse_timestamp(index.date) for index in newer)
        reporter.warn(
            f"Debian packages are those of {latest:%Y-%m-%d}, not of exclude-newer "
            f"({exclude_newer:%Y-%m-%d}): a mirror has only the present; to solve in the past "
            "name a snapshot archive with ENVLOCK_SNAPSHOT_DEBIAN or [snapshots] in config.toml"
        )


def _urls(
    package: DebianPackage, sources: Sequence[Source], snapshot: str | None, past: Past | None
) -> list[str]:
    """Return where a package may be had, best first; its sha256 makes all of them equal."""
    source = sources[package.origin]
    mirrors = [f"{url.rstrip('/')}/{package.filename}" for url in source.archive.urls]
    if past is not None:
        base = snapshot_base(past.template, source.archive.name, past.moment)
        return [f"{base}/{package.filename}", *mirrors]
    return [
        *mirrors,
        *(snapshot_urls(snapshot, source.index, package.filename) if snapshot else ()),
    ]


def _artifact(package: DebianPackage, sources: Sequence[Source]) -> Artifact:
    return Artifact(
        kind="debian",
        name=package.name,
        version=package.version,
        source=sources[package.origin].archive.name,
        file=package.filename.rpartition("/")[2],
        path=package.filename,
        sha256=package.sha256,
        size=package.size,
        depends=package.depends,
    )


def _read_scripts(
    packages: Sequence[DebianPackage],
    urls: Sequence[Sequence[str]],
    alternatives: Mapping[str, str],
    transport: Transport,
    reporter: Reporter,
) -> list[MaintainerScript]:
    """Fetch the packages and classify their maintainer scripts, in the order of ``packages``."""
    total = sum(package.size for package in packages)
    image = Image(alternatives=alternatives, packages=frozenset(one.name for one in packages))

    def read(package: DebianPackage, where: Sequence[str], task: Task) -> list[MaintainerScript]:
        path = transport.artifact(
            where,
            name=package.filename.rpartition("/")[2],
            sha256=package.sha256,
            size=package.size,
        )
        task.advance(package.size)
        try:
            members = read_control(path)
        except ArtifactError as error:
            error.where = package.filename  # not the store's name for it
            raise
        return classify_scripts(package.name, members, image)

    with (
        reporter.task("Debian packages", total, "bytes") as task,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        futures = [
            pool.submit(read, package, where, task)
            for package, where in zip(packages, urls, strict=True)
        ]
        try:
            return [script for future in futures for script in future.result()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
