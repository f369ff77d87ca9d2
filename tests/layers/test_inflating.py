"""zlib-ng against zlib: what one refuses the other refuses, and layers are the same by either."""

from __future__ import annotations

import io
import random
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zlib_ng import zlib_ng

from envlock.errors import ArtifactError
from envlock.layers import inflating
from envlock.layers.gzipstream import GzipWriter

if TYPE_CHECKING:
    from envlock.layers.gzipstream import StreamDigests


def raw(data: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, inflating.RAW, 9, strategy)
    return packer.compress(data) + packer.flush()


def outcome(library: Any, stream: bytes, room: int) -> object:
    """Return all that a decompressor tells of a stream."""
    decoder = library.decompressobj(inflating.RAW)
    try:
        plain = decoder.decompress(stream, room)
    except library.error:
        return None
    return plain, decoder.eof, bytes(decoder.unused_data), bytes(decoder.unconsumed_tail)


@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 6, 9]),
    st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED]),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 7)), max_size=3),
)
@settings(deadline=None, max_examples=400)
def test_damaged_streams(
    seed: int, level: int, strategy: int, damage: list[tuple[int, int]]
) -> None:
    """Bits of the code tables change, too: sets of codes that are incomplete, or too full."""
    source = random.Random(seed)
    data = bytes(source.choices(b"abcdefgh \0\n", k=source.choice([20, 200, 3000])))
    stream = bytearray(raw(data, level, strategy))
    for place, bit in damage:
        stream[place % min(len(stream), 60)] ^= 1 << bit
    for room in (0, 50):
        both = [outcome(library, bytes(stream), room) for library in (zlib, zlib_ng)]
        assert both[0] == both[1]


@given(st.binary(max_size=3000), st.integers(0, 0xFFFFFFFF))
def test_crc(data: bytes, before: int) -> None:
    assert zlib_ng.crc32(data, before) == zlib.crc32(data, before)


def written(size: int, damage: int | None = None) -> StreamDigests:
    plain = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    stream = bytearray(raw(plain))
    if damage is not None:
        stream[damage] ^= 0xFF
    writer = GzipWriter(io.BytesIO())
    pieces = [bytes(stream[start : start + 70_000]) for start in range(0, len(stream), 70_000)]
    found = writer.copy_large(pieces, size, 0)
    assert found == zlib.crc32(plain)
    writer.write(b"what follows")
    return writer.finish()


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_a_stream_is_copied_alike(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = []
    for library in (zlib, zlib_ng):
        monkeypatch.setattr(inflating, "library", library)
        digests.append(written(size))
    assert digests[0] == digests[1]


@pytest.mark.parametrize("library", [zlib, zlib_ng])
def test_a_damaged_stream_is_told_by_both(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "library", library)
    with pytest.raises(ArtifactError, match="damaged"):
        written(3_000_000, damage=0)


def test_without_zlib_ng(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inflating.library is zlib_ng
    monkeypatch.setitem(sys.modules, "zlib_ng.zlib_ng", None)
    assert inflating._library() is zlib
