"""Planned layers of conda packages: the functions that worker processes run."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.errors import DiskError, IntegrityError
from envlock.files import read_pieces, verify_file, write_atomically, written_beside
from envlock.layers.blobs import layer_blob, verified
from envlock.layers.conda import conda_entries
from envlock.layers.condaarchive import open_conda
from envlock.layers.condafacts import CondaFacts, FactCollector
from envlock.layers.entry import Entry, directory, symlink
from envlock.layers.writer import LayerWriter
from envlock.leases import used
from envlock.lock.model import PACKER
from envlock.lock.plain import plain_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from envlock.layers.gzipstream import StreamDigests
    from envlock.layers.scheme import Scheme
    from envlock.lock.model import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaItem:
    """A package to be installed; without: the distribution that is taken from elsewhere."""

    artifact: Artifact
    scheme: Scheme
    without: str | None = None

    @property
    def key(self) -> str:
        """A digest of all that its files and facts are a function of."""
        inputs: list[Any] = [
            PACKER,
            plain_inputs(self.artifact),
            dataclasses.astuple(self.scheme),
            self.without,
        ]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaSegment:
    """The packed files of one package: gzip members that layers are joined from."""

    path: Path
    sha256: str
    size: int
    facts: CondaFacts


def known_facts(item: CondaItem, folder: Path) -> CondaFacts | None:
    """Return the facts that an earlier run found out about a package."""
    try:
        used(_facts_path(item, folder))
        return CondaFacts.from_json(json.loads(_facts_path(item, folder).read_text())["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def pack_conda_segment(item: CondaItem, path: Path, folder: Path) -> CondaSegment:
    """Pack the files of one package into ``folder``, or take what an earlier run packed there.

    Raises IntegrityError, ArtifactError, DiskError.
    """
    target = folder / f"{PACKER}-{item.key}.gz"
    known = _known_segment(item, target, folder)
    if known is not None:
        return known
    with written_beside(folder, ".segment-") as (out, beside):
        writer = LayerWriter(out, parents=False)
        with _entries(item, path, folder) as (entries, collector):
            for entry in entries:
                if entry.kind in {"file", "hardlink"}:
                    writer.add(entry)
        digests = writer.finish_segment()
        beside.replace(target)
    facts = collector.facts()
    sha256 = digests.digest.removeprefix("sha256:")
    _keep(item, folder, facts, {"sha256": sha256, "size": digests.size})
    return CondaSegment(path=target, sha256=sha256, size=digests.size, facts=facts)


def pack_conda_layer(
    item: CondaItem, path: Path, blobs: Path, folder: Path
) -> tuple[StreamDigests, CondaFacts]:
    """Write the layer of one package to ``blobs``, and its facts to ``folder``."""
    with layer_blob(blobs) as (out, done):
        writer = LayerWriter(out)
        with _entries(item, path, folder) as (entries, collector):
            writer.add_all(entries)
        done.append(writer.finish())
    facts = collector.facts()
    _keep(item, folder, facts, {})
    return done[0], facts


def join_conda(segments: Sequence[CondaSegment], blobs: Path) -> StreamDigests:
    """Write a layer of several packages: directories and links, then each package's files."""
    with layer_blob(blobs) as (out, done):
        writer = LayerWriter(out, parents=False)
        writer.add_all(_skeleton([segment.facts for segment in segments]))
        for segment in segments:
            verify_file(segment.path, segment.sha256, segment.size)
            with segment.path.open("rb") as stream:
                writer.add_segment(read_pieces(stream))
        done.append(writer.finish())
    return done[0]


@contextlib.contextmanager
def _entries(
    item: CondaItem, path: Path, scratch: Path
) -> Iterator[tuple[Iterator[Entry], FactCollector]]:
    """Open a verified package; its contents can be read as long as the context lasts."""
    collector = FactCollector(item.artifact.name, item.scheme.prefix)
    with (
        verified(path, item.artifact) as file,
        open_conda(file, item.artifact.file, scratch) as archive,
    ):
        entries = conda_entries(archive, item.artifact, item.scheme, without=item.without)
        yield collector.watch(entries), collector


def _skeleton(packages: Sequence[CondaFacts]) -> list[Entry]:
    """Return the directories and links of all packages, parents first."""
    entries: dict[str, Entry] = {}
    for facts in packages:
        for path, node in facts.nodes.items():
            if node.kind == "symlink":
                entries[path] = symlink(path, node.target)
            elif node.kind == "dir":
                entries.setdefault(path, directory(path))
            parent = path.rpartition("/")[0]
            while parent and parent not in entries:
                entries[parent] = directory(parent)
                parent = parent.rpartition("/")[0]
    return [entries[path] for path in sorted(entries, key=lambda path: path.split("/"))]


def _facts_path(item: CondaItem, folder: Path) -> Path:
    return folder / f"{PACKER}-{item.key}.json"


def _keep(item: CondaItem, folder: Path, facts: CondaFacts, more: dict[str, Any]) -> None:
    text = json.dumps({**more, "facts": facts.to_json()})
    write_atomically(_facts_path(item, folder), text.encode())


def _known_segment(item: CondaItem, target: Path, folder: Path) -> CondaSegment | None:
    facts = known_facts(item, folder)
    if facts is None or not used(target):
        return None
    try:
        record = json.loads(_facts_path(item, folder).read_text())
        verify_file(target, record["sha256"], record["size"])
    except (OSError, ValueError, KeyError, TypeError, IntegrityError, DiskError):
        return None
    return CondaSegment(path=target, sha256=record["sha256"], size=record["size"], facts=facts)
