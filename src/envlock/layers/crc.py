"""The CRC-32 of two pieces together from those of each, without reading either.

CRC-32 (RFC 1952, 8) is linear over GF(2): zeros behind a piece change its CRC by a 32 x 32
matrix, and 2**n zeros by that matrix squared n times.  Python's zlib has no such function.
"""

from __future__ import annotations

from functools import cache

_POLYNOMIAL = 0xEDB88320


def crc32_combine(one: int, two: int, size: int) -> int:
    """Return the CRC-32 of A + B from those of A and B; ``size`` is B's, in bytes."""
    bit = 0
    while size:
        if size & 1:
            one = _times(_zeros(bit), one)
        size >>= 1
        bit += 1
    return one ^ two


def _times(matrix: tuple[int, ...], vector: int) -> int:
    total = place = 0
    while vector:
        if vector & 1:
            total ^= matrix[place]
        vector >>= 1
        place += 1
    return total


@cache
def _zeros(power: int) -> tuple[int, ...]:
    """Return what 2**power zero bytes do to a CRC, column by column."""
    if power:
        half = _zeros(power - 1)
        return tuple(_times(half, column) for column in half)
    matrix = (_POLYNOMIAL, *(1 << place for place in range(31)))  # one zero bit
    for _ in range(3):  # two, four, eight of them
        matrix = tuple(_times(matrix, column) for column in matrix)
    return matrix
