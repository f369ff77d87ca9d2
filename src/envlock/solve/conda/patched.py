"""Records as an override wants them: a dependent's entry names the forced version.

The solver itself sees the changed entries, so that whatever else depends on the forced
package has its say; nothing is exchanged afterwards.  What upstream really says is kept.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from envlock.solve.conda.records import entry_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rattler import (
        Channel,
        Gateway,
        PackageName,
        RepoDataRecord,
        SparseRepoData,
        Subdir,
    )

    Key = tuple[str, str]
    """A record's channel and the place of its file in it."""


class Patches:
    """Which entries of which packages are replaced, and the entries that were.

    forced: by forced package, the entry that stands in; dependents: by forced package, whose
    entries are replaced, None for everybody's.
    """

    def __init__(
        self, forced: Mapping[str, str], dependents: Mapping[str, frozenset[str] | None]
    ) -> None:
        self.forced = forced
        self._dependents = dependents
        self._originals: dict[Key, tuple[list[str], list[str]]] = {}

    def names(self) -> frozenset[str] | None:
        """Return the packages that are touched, None for all."""
        found: set[str] = set()
        for names in self._dependents.values():
            if names is None:
                return None
            found |= names
        return frozenset(found)

    def apply(self, record: RepoDataRecord) -> RepoDataRecord:
        """Change a record in place and return it."""
        key = _key(record)
        depends, constrains = list(record.depends), list(record.constrains)
        name = record.name.normalized
        new = [self._entry(name, entry) for entry in depends]
        new_constrains = [self._entry(name, entry) for entry in constrains]
        if (new, new_constrains) != (depends, constrains):
            self._originals.setdefault(key, (depends, constrains))
            record.depends, record.constrains = new, new_constrains
        return record

    def restore(self, record: RepoDataRecord) -> RepoDataRecord:
        """Give a record its own entries back and return it."""
        if self._originals and _key(record) in self._originals:
            record.depends, record.constrains = self._originals[_key(record)]
        return record

    def _entry(self, dependent: str, entry: str) -> str:
        package = entry_name(entry)
        if package not in self.forced:
            return entry
        names = self._dependents[package]
        return self.forced[package] if names is None or dependent in names else entry


def _key(record: RepoDataRecord) -> tuple[str, str]:
    return record.channel, f"{record.subdir}/{record.file_name}"


class PatchedChannel:
    """A channel whose every record is patched: a source of records for rattler.

    It asks Python for each name that a solve comes across, which is slow: for a question whose
    dependents are not known.  Its methods are called by rattler alone.
    """

    def __init__(self, channel: Channel, gateway: Gateway, patches: Patches) -> None:
        self._channel = channel
        self._gateway = gateway
        self._patches = patches

    async def fetch_package_records(
        self, platform: Subdir, name: PackageName
    ) -> list[RepoDataRecord]:
        """Return the channel's records of one package (rattler's ``RepoDataSource``)."""
        names = [name.normalized]  # a PackageName would be taken for its repr
        found = await records_of(names, [self._channel], [platform], self._gateway)
        return [self._patches.apply(record) for record in found]

    def package_names(self, platform: Subdir) -> list[str]:  # noqa: ARG002
        """Return the packages that this source is known to have: none before it is asked."""
        return []


async def patched_repodata(
    channel: Channel, platforms: Iterable[str], gateway: Gateway, patches: Patches, folder: Path
) -> list[SparseRepoData]:
    """Return the channel's records of the patched packages, patched, as repodata of its own.

    It is to stand before the channel, which has the same records as they are.  rattler reads it
    without asking Python again; folder: where it is written, for as long as it is needed.
    """
    from rattler import SparseRepoData

    found = await records_of(sorted(patches.names() or ()), [channel], platforms, gateway)
    by_subdir: dict[str, list[RepoDataRecord]] = {}
    for record in found:
        by_subdir.setdefault(record.subdir, []).append(patches.apply(record))
    sources = []
    for subdir, records in by_subdir.items():
        said: dict[str, Any] = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": {}}
        for record in records:
            kind = "packages.conda" if record.file_name.endswith(".conda") else "packages"
            said[kind][record.file_name] = json.loads(record.to_json())
        handle, path = tempfile.mkstemp(dir=folder, suffix=".json")
        with os.fdopen(handle, "w") as file:
            json.dump(said, file)
        sources.append(SparseRepoData(channel, subdir, path))
    return sources


async def records_of(
    names: Iterable[str],
    channels: Sequence[Channel],
    platforms: Iterable[Subdir | str],
    gateway: Gateway,
) -> list[RepoDataRecord]:
    """Return every record of these packages."""
    from rattler import MatchSpec

    found = await gateway.query(
        channels,
        platforms,  # type: ignore[arg-type]
        [MatchSpec(name) for name in names],
        recursive=False,
        channel_relations="disabled",
    )
    return [record for records in found for record in records]
