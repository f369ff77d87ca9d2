"""Valid inputs made a little wrong, for machines without a coverage-guided fuzzer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

LONGEST = 1 << 16

TOKENS = (
    b"\0", b"\xff", b"\x80", b"../", b"/", b"./", b"\n", b"\x1b[2J", b"\xff\xff\xff\xff", b"}",
    b"[", b"9" * 30, b"-1", b"null", b"true", b"1e999", b"\xed\xa0\x80", b"PK\x03\x04", b"ustar\0",
    b"L", b"x", b"NaN", b"&a *a", b"\r", b"\xef\xbb\xbf", b"\\ud800", b"7777777",
)  # fmt: skip


def mutated(seed: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Return ``seed`` after a few changes; pieces of ``others`` may come in."""
    data = bytearray(seed)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(data) + 1)
        size = random.choice((1, 1, 2, 4, 8, 100, 512))
        kind = random.randrange(7)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << random.randrange(8)
        elif kind == 1:
            data[at : at + size] = random.randbytes(size)
        elif kind == 2:
            del data[at : at + size]
        elif kind == 3:
            data[at:at] = data[at : at + size]
        elif kind == 4:
            token = random.choice(TOKENS)
            data[at : at + random.choice((0, len(token)))] = token
        elif kind == 5:
            other = random.choice(others)
            start = random.randrange(len(other) + 1)
            data[at : at + size] = other[start : start + size]
        else:
            data = data[:at]
    return bytes(data[:LONGEST])
