"""Newer versions of what overrides are about, and what they require."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from envlock.advise.versions import usable_versions
from envlock.progress import SILENT
from envlock.solve.conda.channels import Channels
from envlock.solve.conda.solver import Rattler
from envlock.solve.pypi.choosing import Chosen, wheel_tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypi_simple import DistributionPackage
    from rattler import RepoDataRecord

    from envlock.fetch.indexes import SimpleIndex
    from envlock.lock.model import Artifact, Kind, Lock
    from envlock.solve.conda import CondaMeans
    from envlock.solve.pypi.metadata import Described, MetadataReader
    from envlock.spec.model import Spec, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The indexes and channels of one locked environment; conda: None without channels."""

    spec: Spec
    target: Target
    lock: Lock
    index: SimpleIndex
    metadata: MetadataReader
    conda: CondaMeans | None = None

    def locked(self, kind: Kind, name: str) -> Artifact | None:
        """Return the locked package of this kind and name."""
        return next((one for one in self.lock.of_kind(kind) if one.name == name), None)

    def versions(self, wheel: Artifact) -> list[str]:
        """Return the versions of a wheel that the target takes, newest first.

        Whatever ``exclude-newer`` says; raises FetchError.
        """
        files = self.index.files(wheel.source, wheel.name)
        tags = wheel_tags(self.spec.python, self.target)
        return usable_versions(files, tags, self.spec.python, current=wheel.version)

    def described(self, wheel: Artifact, version: str) -> Described | None:
        """Return a version of a distribution with its METADATA; raises FetchError.

        None where the index has no wheel of it whose sha256 it tells.
        """
        for file in self._files(wheel, Version(version)):
            chosen = Chosen(
                name=wheel.name,
                version=version,
                index=wheel.source,
                url=file.url,
                file=file.filename,
                sha256=file.digests["sha256"],
                size=file.size or 0,
            )
            return self.metadata.describe([chosen], SILENT)[0]
        return None

    def _files(self, wheel: Artifact, version: Version) -> Iterator[DistributionPackage]:
        tags = frozenset(wheel_tags(self.spec.python, self.target))
        for file in self.index.files(wheel.source, wheel.name):
            if file.package_type != "wheel" or "sha256" not in file.digests:
                continue
            _, found, _, own = parse_wheel_filename(file.filename)
            if found == version and not tags.isdisjoint(own):
                yield file

    def records(self, package: Artifact) -> list[RepoDataRecord]:
        """Return what a conda package's channel has of it, newest first; raises FetchError."""
        if self.conda is None:
            return []
        means = self.conda
        channels = Channels(
            list(means.access), means.access, means.cache / "repodata", offline=means.offline
        )
        found = Rattler(channels).records(self.target.name, [package.name])
        own = [record for channel, record in found if channel == package.source]
        return sorted(own, key=lambda record: record.version, reverse=True)
