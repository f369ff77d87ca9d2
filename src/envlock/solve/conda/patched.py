"""Records as an override wants them: a dependent's entry names the forced version.

The solver itself sees the changed entries, so that whatever else depends on the forced
package has its say; nothing is exchanged afterwards.  What upstream really says is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.solve.conda.records import entry_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rattler import Channel, Gateway, PackageName, RepoDataRecord, Subdir

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
        if _key(record) in self._originals:
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
    """A channel's records of some packages, patched: a source of records for rattler.

    It stands before the channel itself, which has the same records as they are.
    """

    def __init__(self, channel: Channel, gateway: Gateway, patches: Patches) -> None:
        self._channel = channel
        self._gateway = gateway
        self._patches = patches

    async def fetch_package_records(
        self, platform: Subdir, name: PackageName
    ) -> list[RepoDataRecord]:
        """Return the channel's records of one package (rattler's ``RepoDataSource``)."""
        from rattler import MatchSpec

        names = self._patches.names()
        if names is not None and name.normalized not in names:
            return []
        found = await self._gateway.query(
            [self._channel],
            [platform],
            [MatchSpec(name.normalized)],  # a PackageName would be taken for its repr
            recursive=False,
            channel_relations="disabled",
        )
        return [self._patches.apply(record) for record in _flat(found)]

    def package_names(self, platform: Subdir) -> list[str]:  # noqa: ARG002
        """Return the packages that this source may have."""
        return sorted(self._patches.names() or ())


def _flat(found: Iterable[Iterable[RepoDataRecord]]) -> list[RepoDataRecord]:
    return [record for records in found for record in records]
