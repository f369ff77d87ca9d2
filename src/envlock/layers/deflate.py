"""A DEFLATE encoder (RFC 1951) whose output no installed library can change.

``zlib.compress`` gives other bytes with zlib, zlib-ng and ISA-L, so a digest made with it
holds on one machine only.  This encoder is plain integer arithmetic: the same input gives
the same bytes on every Python.  It compresses about as well as zlib's level 1 and is some
forty times slower, which is why wheels are never compressed again (see ``gzipstream``) and
the result for a .deb is cached.  ``deflate.c`` is the same encoder once more, for machines
with a C compiler (see ``compiled``).

:func:`literals` is some eight times faster and saves a quarter of a program instead of half:
it gives each byte a code by how often it occurs, and looks for runs of zeros only.

Every function returns whole bytes and no final block: pieces can be joined freely and end
with :data:`END`.  A change of anything here changes digests: raise ``lock.model.PACKER``, and
change ``deflate.c`` alike.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Protocol

from envlock.layers.huffman import canonical, code_lengths, low_first, tables

if TYPE_CHECKING:
    from collections.abc import Iterable

END = b"\x03\x00"
"""A final, empty block with fixed codes."""

ALIGN = b"\x00\x00\xff\xff"
"""What follows the three header bits and the padding of an empty stored block."""

CHUNK = 256 * 1024
"""Bytes that share one window; matches never reach over a chunk."""

_WINDOW = 32 * 1024
_BLOCK_TOKENS = 32 * 1024
_SMALL = 2048  # below this a block's own code tables cost more than they save
_MIN_MATCH, _MAX_MATCH = 4, 258
_END_OF_BLOCK = 256
_LONGEST = 285  # the symbol of a match of 258 bytes
LITERALS_CHUNK = 1024 * 1024
"""Bytes that share one code in :func:`literals`."""

_SAMPLED = 16  # every which byte is counted
_WORTH = 0.9  # of the plain size, at most; else a chunk is stored
_ZEROS = re.compile(rb"\x00{259,}")
_LENGTH_EXTRA = [0] * 8 + [extra for extra in range(1, 6) for _ in range(4)] + [0]
_DISTANCE_EXTRA = [0] * 4 + [extra for extra in range(1, 14) for _ in range(2)]


class Twin(Protocol):
    """Another encoder that gives the very same bytes."""

    def compress(self, data: bytes) -> bytes: ...

    def literals(self, data: bytes) -> bytes: ...


_twin: Twin | None = None


def take_over(twin: Twin | None) -> None:
    """Let ``twin`` do the work in this process from now on, or with None nobody else."""
    global _twin  # noqa: PLW0603
    _twin = twin


def largest(size: int) -> int:
    """Return how many bytes :func:`compress` and :func:`literals` make of ``size`` at most."""
    whole, rest = divmod(size, CHUNK)
    return size + 5 * (whole * -(-CHUNK // 0xFFFF) + -(-rest // 0xFFFF))


def stored(data: bytes) -> bytes:
    """Return ``data`` as stored blocks (RFC 1951, 3.2.4); at most 5 bytes per 65,535 more."""
    pieces = []
    for start in range(0, len(data), 0xFFFF):
        piece = data[start : start + 0xFFFF]
        size = len(piece)
        pieces.append(b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little"))
        pieces.append(piece)
    return b"".join(pieces)


def compress(data: bytes) -> bytes:
    """Return ``data`` compressed, chunk by chunk; a chunk that would grow is stored."""
    if _twin is not None:
        return _twin.compress(data)
    pieces = []
    for start in range(0, len(data), CHUNK):
        chunk = data[start : start + CHUNK]
        packed, plain = _compress_chunk(chunk), stored(chunk)
        pieces.append(packed if len(packed) < len(plain) else plain)
    return b"".join(pieces)


def literals(data: bytes) -> bytes:
    """Return ``data`` with an entropy code and no matches but zeros; what gains little is stored.

    For large files, where :func:`compress` would take minutes.
    """
    if _twin is not None:
        return _twin.literals(data)
    pieces = []
    for start in range(0, len(data), LITERALS_CHUNK):
        chunk = data[start : start + LITERALS_CHUNK]
        packed = _literals_chunk(chunk)
        pieces.append(stored(chunk) if packed is None else packed)
    return b"".join(pieces)


def _literals_chunk(chunk: bytes) -> bytes | None:
    """Return one block, or None where it would be larger than ``_WORTH``."""
    counts = Counter(chunk[::_SAMPLED])
    frequencies = {byte: 2 * counts[byte] + 1 for byte in range(256)}  # each byte has a code
    frequencies |= {_END_OF_BLOCK: 1, _LONGEST: 64}
    lengths = code_lengths(frequencies, 15)
    zeros = [match.span() for match in _ZEROS.finditer(chunk)]
    left = len(chunk) - sum(end - start for start, end in zeros)
    width = sum(counts[byte] * lengths[byte] for byte in counts if byte or not zeros)
    sampled = sum(counts[byte] for byte in counts if byte or not zeros)
    if sampled and left * width / sampled > _WORTH * 8 * len(chunk):
        return None
    codes = canonical(lengths)
    table = [codes[byte] for byte in range(256)]
    again = codes[_LONGEST] + "0"  # 258 bytes more of the byte before: distance 1
    bits, here = ["001", tables(lengths, {0: 1})], 0
    for start, end in zeros:
        bits += map(table.__getitem__, chunk[here : start + 1])
        repeats = (end - start - 1) // _MAX_MATCH
        bits.append(again * repeats)
        here = start + 1 + _MAX_MATCH * repeats
    bits += map(table.__getitem__, chunk[here:])
    packed = _pack("".join([*bits, codes[_END_OF_BLOCK], "000"])) + ALIGN
    return packed if len(packed) < _WORTH * len(chunk) else None


def _compress_chunk(chunk: bytes) -> bytes:
    tokens = _tokens(chunk)
    encode = _fixed_block if len(chunk) < _SMALL else _dynamic_block
    blocks = [
        encode(tokens[start : start + _BLOCK_TOKENS])
        for start in range(0, len(tokens), _BLOCK_TOKENS)
    ]
    bits = "".join([*blocks, "000"])  # then pad: the header of an empty stored block
    return _pack(bits) + ALIGN


def _pack(bits: str) -> bytes:
    """Return a string of 0 and 1 in stream order as bytes, least significant bit first."""
    return int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")


# --- finding matches: tokens are a literal (0-255) or length << 16 | distance ---


def _keys(data: bytes) -> list[int]:
    """Return the four bytes from each position as one number; its byte order does not matter."""
    count = len(data) - 3
    keys = [0] * count
    for shift in range(4):
        words = (count - shift + 3) // 4
        keys[shift::4] = array("I", data[shift : shift + 4 * words])
    return keys


def _tokens(data: bytes) -> list[int]:
    """Return a greedy parse: the last occurrence of four bytes, extended both ways."""
    if len(data) < 2 * _MIN_MATCH:
        return list(data)
    out: list[int] = []
    keys = _keys(data)
    last: dict[int, int] = {}
    find, limit = last.get, len(keys) - 1
    here = anchor = 0
    while here < limit:
        key = keys[here]
        there = find(key)
        last[key] = here
        if there is None or here - there > _WINDOW:
            here += 1 + (here - anchor >> 6)  # step faster through what does not compress
            continue
        length = _match_length(data, keys, here, there)
        while here > anchor and there and length < _MAX_MATCH and data[here - 1] == data[there - 1]:
            here, there, length = here - 1, there - 1, length + 1
        out += data[anchor:here]
        out.append(length << 16 | here - there)
        anchor = here + length
        if anchor < limit:
            for inside in range(here + 1, anchor, 2 if length < 32 else 8):
                last[keys[inside]] = inside
        here = anchor
    out += data[anchor:]
    return out


def _match_length(data: bytes, keys: list[int], here: int, there: int) -> int:
    length, most = _MIN_MATCH, min(_MAX_MATCH, len(data) - here)
    while length <= most - 4 and keys[here + length] == keys[there + length]:
        length += 4
    while length < most and data[here + length] == data[there + length]:
        length += 1
    return length


# --- symbols (RFC 1951, 3.2.5) ---


def _symbol_table(first: int, extras: list[int], most: int) -> tuple[list[int], list[str]]:
    symbols, extra_bits = [0] * first, [""] * first
    for symbol, width in enumerate(extras):
        for value in range(1 << width):
            if len(symbols) <= most:
                symbols.append(symbol)
                extra_bits.append(low_first(value, width))
    return symbols, extra_bits


_LENGTH_SYMBOL, _LENGTH_BITS = _symbol_table(3, _LENGTH_EXTRA, _MAX_MATCH)
_LENGTH_SYMBOL[_MAX_MATCH], _LENGTH_BITS[_MAX_MATCH] = 28, ""  # 258 has a symbol of its own
_LENGTH_SYMBOL = [257 + symbol for symbol in _LENGTH_SYMBOL]


@cache
def _distances() -> tuple[list[int], list[str]]:
    """Return the symbol and the bits of each distance: who never compresses does not wait."""
    return _symbol_table(1, _DISTANCE_EXTRA, _WINDOW)


# --- codes ---


@cache
def _fixed_codes() -> tuple[dict[int, str], dict[int, str]]:
    widths = dict.fromkeys(range(144), 8) | dict.fromkeys(range(144, 256), 9)
    widths |= dict.fromkeys(range(256, 280), 7) | dict.fromkeys(range(280, 288), 8)
    return canonical(widths), canonical(dict.fromkeys(range(32), 5))


def _fixed_block(tokens: list[int]) -> str:
    return "010" + _body(tokens, set(tokens), *_fixed_codes())


def _body(
    tokens: list[int], distinct: Iterable[int], literals: dict[int, str], distances: dict[int, str]
) -> str:
    bits = {}
    symbols, extra_bits = _distances()
    for token in distinct:
        if token < _END_OF_BLOCK:
            bits[token] = literals[token]
            continue
        length, distance = token >> 16, token & 0xFFFF
        bits[token] = (
            literals[_LENGTH_SYMBOL[length]]
            + _LENGTH_BITS[length]
            + distances[symbols[distance]]
            + extra_bits[distance]
        )
    return "".join(map(bits.__getitem__, tokens)) + literals[_END_OF_BLOCK]


def _dynamic_block(tokens: list[int]) -> str:
    counts = Counter(tokens)
    literals: Counter[int] = Counter({_END_OF_BLOCK: 1})
    distances: Counter[int] = Counter()
    symbols, _ = _distances()
    for token, count in counts.items():
        if token < _END_OF_BLOCK:
            literals[token] += count
        else:
            literals[_LENGTH_SYMBOL[token >> 16]] += count
            distances[symbols[token & 0xFFFF]] += count
    literal_lengths = code_lengths(literals, 15)
    distance_lengths = code_lengths(distances, 15) if distances else {0: 1}
    return (
        "001"
        + tables(literal_lengths, distance_lengths)
        + _body(tokens, counts, canonical(literal_lengths), canonical(distance_lengths))
    )
