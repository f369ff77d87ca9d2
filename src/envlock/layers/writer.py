"""Entries in, one gzip-compressed tar layer out, digested on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

from envlock.errors import ArtifactError
from envlock.layers import tar
from envlock.layers.entry import Entry, directory
from envlock.layers.gzipstream import GzipWriter, StreamDigests

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from envlock.layers.gzipstream import Streamable


class LayerWriter:
    """Writes one layer (OCI image-spec, layer.md): parents first, no path twice."""

    def __init__(
        self,
        out: BinaryIO,
        *,
        parents: bool = True,
        known: StreamDigests | None = None,
        helpers: Executor | None = None,
    ) -> None:
        """``parents``: write a directory entry before the first path below it.

        known: what will come out, if an earlier build told; helpers: threads that compress (see
        ``GzipWriter``).
        """
        self._stream = GzipWriter(out, known, helpers)
        self._parents = parents
        self._seen: dict[str, str] = {}

    def add(self, entry: Entry) -> None:
        """Write one entry; a directory that is there already is left out.

        Raises ArtifactError if another entry has that path.
        """
        kind = self._seen.get(entry.path)
        if kind == entry.kind == "dir":
            return
        if kind is not None:
            raise ArtifactError(f"two entries of one layer have the path {entry.path!r}")
        if self._parents:
            self._add_parents(entry.path)
        self._seen[entry.path] = entry.kind
        self._stream.write(tar.header(entry))
        if entry.content is not None:
            self._write_content(entry)

    def add_all(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.add(entry)

    def add_segment(self, pieces: Iterable[bytes]) -> None:
        """Add the gzip members of entries that were packed before (see ``finish_segment``)."""
        self._stream.copy_members(pieces)

    def finish(self) -> StreamDigests:
        """End the archive and return the layer's digests."""
        self._stream.write(tar.END_OF_ARCHIVE)
        return self._stream.finish()

    def finish_segment(self) -> StreamDigests:
        """End the members, but not the archive: others will follow."""
        return self._stream.finish()

    def _add_parents(self, path: str) -> None:
        place = path.find("/")
        while place >= 0:
            parent = path[:place]
            kind = self._seen.get(parent)
            if kind is None:
                self._seen[parent] = "dir"
                self._stream.write(tar.header(directory(parent)))
            elif kind != "dir":
                raise ArtifactError(f"{path!r} lies below {parent!r}, which is no directory")
            place = path.find("/", place + 1)

    def _write_content(self, entry: Entry) -> None:
        content = entry.content
        assert content is not None
        if hasattr(content, "write_to"):  # isinstance would ask the protocol, for each file
            cast("Streamable", content).write_to(self._stream)
        else:
            self._stream.write(content.read())
        self._stream.write(tar.padding(content.size))
