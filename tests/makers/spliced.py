"""Small DEFLATE streams put into a layer, with their content at hand to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.layers.gzipstream import opened

if TYPE_CHECKING:
    from envlock.layers.gzipstream import GzipWriter


def splice(stream: bytes, plain: bytes) -> bytes | None:
    """Return a raw DEFLATE stream of ``plain`` made joinable, or None where it cannot be."""
    found = opened(stream, len(plain))
    return found[0] if found is not None and found[1] == plain else None


def copy_small(writer: GzipWriter, stream: bytes, plain: bytes) -> None:
    """Add a whole raw DEFLATE stream, joined where it can be."""
    if not plain:
        return
    joined = splice(stream, plain)
    if joined is None:
        writer.copy_closed(stream, plain)
    else:
        writer.copy_blocks(joined, plain)
