"""The newest versions that package indexes, channels and Debian's archives have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from packaging.version import Version

from envlock.advise.versions import usable_versions
from envlock.outdated.model import Available
from envlock.solve.conda.channels import Channels
from envlock.solve.conda.solver import Rattler
from envlock.solve.debian import DebianRequest
from envlock.solve.debian.indexes import read_indexes
from envlock.solve.debian.versions import version_key
from envlock.solve.pypi.choosing import wheel_tags
from envlock.solve.pypi.words import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rattler import RepoDataRecord

    from envlock.debian_archive import Archive
    from envlock.fetch.indexes import SimpleIndex
    from envlock.lock.model import Artifact
    from envlock.platforms import Platform
    from envlock.progress import Reporter
    from envlock.solve.conda import CondaMeans
    from envlock.solve.debian import Transport
    from envlock.spec.model import Spec, Target

_ASKED_AT_ONCE = 8


def newest_wheels(
    wheels: Sequence[Artifact],
    index: SimpleIndex,
    spec: Spec,
    target: Target,
    reporter: Reporter,
) -> dict[str, Available]:
    """Return what the indexes have of each distribution that is a wheel; raises FetchError."""
    tags = wheel_tags(spec.python, target)

    def one(wheel: Artifact) -> Available:
        files = index.files(wheel.source, wheel.name)
        versions = usable_versions(files, tags, spec.python, current=wheel.version)
        here = next((file for file in files if file.filename == wheel.file), None)
        newest = versions[0] if versions else None
        if newest is not None and Version(newest) < Version(wheel.version):
            newest = wheel.version  # a pre-release, or one that was withdrawn since
        return Available(
            newest=newest,
            source=wheel.source,
            yanked=here is not None and bool(here.is_yanked),
            gone=here is None,
            why=one_line(here.yanked_reason) if here is not None else None,
        )

    with (
        reporter.task("asking package indexes", len(wheels)) as task,
        ThreadPoolExecutor(_ASKED_AT_ONCE) as pool,
    ):
        found: dict[str, Available] = {}
        for wheel, available in zip(wheels, pool.map(one, wheels), strict=True):
            found[wheel.name] = available
            task.advance(1)
        return found


def newest_conda(
    packages: Sequence[Artifact], means: CondaMeans, platform: str, reporter: Reporter
) -> dict[str, Available]:
    """Return what the channel of each package has of it; raises FetchError.

    Virtual packages and the Python are not held against: the newest is the newest there is.
    """
    if not packages:
        return {}
    channels = Channels(
        list(means.access), means.access, means.cache / "repodata", offline=means.offline
    )
    with reporter.task("asking conda channels"):
        records = Rattler(channels).records(platform, [one.name for one in packages])
    by_package: dict[tuple[str, str], list[RepoDataRecord]] = {}
    for channel, record in records:
        by_package.setdefault((channel, record.name.normalized), []).append(record)
    found = {}
    for one in packages:
        own = by_package.get((one.source, one.name), [])
        newest = max((record.version for record in own), default=None)
        found[one.name] = Available(
            newest=None if newest is None else str(newest),
            source=one.source,
            gone=all(f"{record.subdir}/{record.file_name}" != one.path for record in own),
        )
    return found


def newest_debian(
    packages: Sequence[Artifact],
    suite: str,
    platform: Platform,
    archives: Sequence[Archive],
    transport: Transport,
    reporter: Reporter,
) -> Mapping[str, Available]:
    """Return what the mirrors have of each package in the suite and its updates.

    Raises FetchError, UsageError, IntegrityError.
    """
    if not packages:
        return {}
    request = DebianRequest(suite=suite, packages=())
    indexes = read_indexes(request, platform.debian, archives, transport, reporter, None)
    found = {}
    for one in packages:
        versions = indexes.packages.versions(one.name)
        newest = max(versions, key=lambda package: version_key(package.version), default=None)
        found[one.name] = Available(
            newest=newest.version if newest else None,
            source=indexes.sources[newest.origin].archive.name if newest else one.source,
            gone=all(package.sha256 != one.sha256 for package in versions),
        )
    return found
