"""Prefix codes as DEFLATE has them (RFC 1951, 3.2.2 and 3.2.7): optimal, canonical, written down.

Bits are texts of ``0`` and ``1`` in the order in which they stand in the stream.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CODE_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def low_first(value: int, width: int) -> str:
    """Return a number in ``width`` bits, the lowest first."""
    return format(value, f"0{width}b")[::-1] if width else ""


def canonical(lengths: Mapping[int, int]) -> dict[int, str]:
    """Return the canonical code of each symbol as bits (RFC 1951, 3.2.2)."""
    code, width, codes = 0, 0, {}
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        code <<= length - width
        width = length
        codes[symbol] = format(code, f"0{width}b")
        code += 1
    return codes


def code_lengths(frequencies: Mapping[int, int], limit: int) -> dict[int, int]:
    """Return optimal code lengths of at most ``limit`` bits (package-merge)."""
    leaves: list[tuple[int, tuple[int, ...]]]
    leaves = sorted((count, (symbol,)) for symbol, count in frequencies.items())
    if len(leaves) == 1:
        return {leaves[0][1][0]: 1}
    packages = leaves
    for _ in range(limit - 1):
        pairs = zip(packages[::2], packages[1::2], strict=False)
        merged = [(one[0] + two[0], one[1] + two[1]) for one, two in pairs]
        packages = sorted([*leaves, *merged])
    lengths: Counter[int] = Counter()
    for _, symbols in packages[: 2 * len(leaves) - 2]:
        lengths.update(symbols)
    return dict(lengths)


def tables(literals: dict[int, int], distances: dict[int, int]) -> str:
    """Return both code length tables, run-length encoded (RFC 1951, 3.2.7)."""
    literal_count = max(257, max(literals) + 1)
    distance_count = max(distances) + 1
    lengths = [literals.get(symbol, 0) for symbol in range(literal_count)]
    lengths += [distances.get(symbol, 0) for symbol in range(distance_count)]
    runs = list(_runs(lengths))
    widths = code_lengths(Counter(symbol for symbol, _ in runs), 7)
    if len(widths) == 1:
        widths |= {next(symbol for symbol in (0, 18) if symbol not in widths): 1}
    codes = canonical(widths)
    used = max(place for place, symbol in enumerate(_CODE_LENGTH_ORDER) if symbol in widths) + 1
    used = max(used, 4)
    head = low_first(literal_count - 257, 5) + low_first(distance_count - 1, 5)
    head += low_first(used - 4, 4)
    head += "".join(low_first(widths.get(symbol, 0), 3) for symbol in _CODE_LENGTH_ORDER[:used])
    return head + "".join(codes[symbol] + extra for symbol, extra in runs)


def _runs(lengths: list[int]) -> Iterable[tuple[int, str]]:
    """Yield code length symbols with their extra bits."""
    place = 0
    while place < len(lengths):
        value, run = lengths[place], 1
        while place + run < len(lengths) and lengths[place + run] == value:
            run += 1
        place += run
        if value:
            yield value, ""
            run -= 1
        while run >= 3:
            if value:
                step = min(run, 6)
                yield 16, low_first(step - 3, 2)
            elif run < 11:
                step = run
                yield 17, low_first(step - 3, 3)
            else:
                step = min(run, 138)
                yield 18, low_first(step - 11, 7)
            run -= step
        for _ in range(run):
            yield value, ""
