"""The encoder against zlib as an outside judge, and against its own golden bytes."""

from __future__ import annotations

import hashlib
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.layers import deflate


def inflate(data: bytes) -> bytes:
    decoder = zlib.decompressobj(-15)
    plain = decoder.decompress(data + deflate.END)
    assert decoder.eof
    assert not decoder.unused_data
    return plain


@given(st.binary(max_size=5000))
def test_any_bytes_come_back(data: bytes) -> None:
    assert inflate(deflate.compress(data)) == data
    assert inflate(deflate.stored(data)) == data


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.integers(1, 400)), max_size=60))
def test_repetitive_bytes_come_back(runs: list[tuple[bytes, int]]) -> None:
    data = b"".join(piece * times for piece, times in runs)
    assert inflate(deflate.compress(data)) == data


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_pieces_can_be_joined(one: bytes, two: bytes) -> None:
    assert inflate(deflate.compress(one) + deflate.compress(two)) == one + two


@pytest.mark.parametrize("size", [0, 1, 7, 8, 65_535, 65_536, deflate.CHUNK, deflate.CHUNK + 1])
@pytest.mark.parametrize("alphabet", [1, 2, 256])
def test_sizes_at_the_edges(size: int, alphabet: int) -> None:
    data = bytes(random.Random(size).choices(range(alphabet), k=size))
    packed = deflate.compress(data)
    assert inflate(packed) == data
    assert len(packed) <= len(data) + 5 * (len(data) // 0xFFFF + 2)


def test_all_lengths_and_distances() -> None:
    noise = random.Random(1).randbytes(33_000)
    data = b"".join(noise[:size] + b"|" for size in range(3, 300)) + noise + noise
    assert inflate(deflate.compress(data)) == data


def test_text_shrinks_like_a_fast_zlib() -> None:
    words = [bytes([97 + n % 26]) * (n % 7 + 1) for n in range(300)]
    data = b" ".join(random.Random(2).choices(words, k=50_000))
    assert len(deflate.compress(data)) < 1.15 * len(zlib.compress(data, 1))


def test_golden_bytes() -> None:
    """A change of these digests changes every image: raise the packer's version with it."""
    text = b"".join(b"line %d of the sample\n" % (n % 97) for n in range(20_000))
    noise = random.Random(3).randbytes(70_000)
    digest = hashlib.sha256(deflate.compress(text + noise + bytes(100_000))).hexdigest()
    assert digest == "2a6d2f70a8051fb71630cb2cb85493a4e77ab1e7b9a2b6db30b5a7a881acea91"


def test_literals_are_the_same_everywhere() -> None:
    """Written down: a change here is a change of every image with large files from conda."""
    text = bytes(range(97, 107)) * 300 + bytes(1200) + b"end"
    packed = deflate.literals(text)
    assert inflate(packed) == text
    assert hashlib.sha256(packed).hexdigest() == LITERALS


LITERALS = "8d8930c9157c8fef16c95aa0d4d3645fe2554482ceb7810a2b0876ab27858b4c"


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=400),
            st.integers(0, 2000).map(bytes),
            st.sampled_from([b"a" * 5000, b"\x00", bytes(range(256)) * 3]),
        ),
        max_size=8,
    ).map(b"".join)
)
def test_literals_round_trip(data: bytes) -> None:
    packed = deflate.literals(data)
    assert inflate(packed) == data
    assert len(packed) <= len(deflate.stored(data))


def test_literals_of_several_chunks_and_of_noise() -> None:
    noise = random.Random(3).randbytes(100_000)
    data = b"some text, " * 200_000 + bytes(3_000_000) + noise
    packed = deflate.literals(data)
    assert inflate(packed) == data
    assert len(packed) < len(data) / 2
    assert deflate.literals(noise) == deflate.stored(noise)
