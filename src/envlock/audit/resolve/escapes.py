"""The failures that leave a module or a function, without telling them again for each module.

Where most modules of a package miss something and import each other, each of them passes on
what nearly all others miss.  So a body notes what fails in itself one by one, and of a module
that it imports only that it takes over what leaves that one.  Which failures that makes is a
number with a bit for each failure: the failures of thousands of modules are joined as fast as
numbers are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.audit.resolve.state import Failure

Key = tuple[str, str, str, str]


@dataclass(slots=True)
class Escape:
    """A failure that leaves a module or a function.

    via: the module that it came through; conditional: it stands under a condition on the
    environment that cannot be decided.
    """

    failure: Failure
    certain: bool
    via: str
    line: int
    conditional: bool = False


@dataclass(slots=True)
class Passed:
    """An import statement that passes on what leaves another module.

    sure: it surely runs; env: it hangs on the environment.
    """

    source: Escapes
    via: str
    line: int
    sure: bool
    env: bool


class Numbers:
    """A bit for each failure that leaves some body of a run.

    keys: the failures' keys by the bits' places; optional, raised: the bits of failures whose
    whole distribution is missing, and of statements that raise.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.optional = 0
        self.raised = 0
        self._bits: dict[Key, int] = {}

    def bit(self, failure: Failure) -> int:
        """Return a failure's bit; whoever has the same key has the same one."""
        key = failure.key
        bit = self._bits.get(key)
        if bit is None:
            bit = self._bits[key] = 1 << len(self.keys)
            self.keys.append(key)
            self.optional |= bit if failure.optional else 0
            self.raised |= bit if failure.kind == "raises" else 0
        return bit

    def known(self, key: Key) -> int:
        """Return the bit of a key, or 0 where no such failure left any body."""
        return self._bits.get(key, 0)


class Escapes:
    """What leaves one body: at most one escape for each failure, in the order in which they came.

    all, certain, conditional: which failures leave it, and which of them are so; outcome: what
    tells this from others, where somebody asked for it; arrivals: what came, each with the
    failures that it brought or made certain.
    """

    __slots__ = ("_numbers", "all", "arrivals", "certain", "conditional", "outcome")

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self.all = self.certain = self.conditional = 0
        self.arrivals: list[tuple[int, Escape | Passed]] = []
        self.outcome = ""

    def __len__(self) -> int:
        return self.all.bit_count()

    def __bool__(self) -> bool:
        return self.all != 0

    def add(self, escape: Escape) -> None:
        """Note a failure of the body itself; a certain one takes an uncertain one's place."""
        bit = self._numbers.bit(escape.failure)
        if not self.all & bit or (escape.certain and not self.certain & bit):
            self.all |= bit
            self.certain |= bit if escape.certain else 0
            self.conditional &= ~bit
            self.conditional |= bit if escape.conditional else 0
            self.arrivals.append((bit, escape))

    def take(self, source: Escapes, via: str, line: int, *, sure: bool, env: bool) -> None:
        """Take over what leaves another body, but for that from which nothing can follow.

        via, line, sure, env: as :class:`Passed` has them.
        """
        if not source.all:
            return
        doubtful = (source.conditional | self._numbers.optional) & ~source.certain
        told = source.all & ~doubtful if doubtful else source.all
        certain = source.certain if sure else 0
        brought = told & ~self.all | certain & ~self.certain
        if not brought:
            return
        conditional = source.conditional | (told & ~certain if env else 0)
        self.conditional = self.conditional & ~brought | conditional & brought
        self.all = _joined(self.all, told)
        self.certain = _joined(self.certain, certain)
        passed = Passed(source, via, line, sure, env)
        self.arrivals.append((told if brought == told else brought, passed))

    def extend(self, other: Escapes) -> None:
        """Take over what came to another body, as if it had come here."""
        for _, arrival in other.arrivals:
            if isinstance(arrival, Passed):
                self.take(
                    arrival.source, arrival.via, arrival.line, sure=arrival.sure, env=arrival.env
                )
            else:
                self.add(arrival)

    def places(self, wanted: int | None = None) -> Iterator[int]:
        """Yield the places of the bits of what leaves it, in the order in which it came."""
        left = self.all if wanted is None else wanted
        for brought, arrival in self.arrivals:
            new = left & brought
            if not new:
                continue
            if isinstance(arrival, Passed):
                yield from arrival.source.places(new)
            else:
                yield brought.bit_length() - 1
            left ^= new
            if not left:
                return

    def __iter__(self) -> Iterator[Escape]:
        """Yield what leaves it, one by one; who can do without does."""
        for place in self.places():
            bit = 1 << place
            arrival = self.arrival(bit)
            if isinstance(arrival, Passed):
                certain, conditional = bool(self.certain & bit), bool(self.conditional & bit)
                failure = arrival.source.failure(bit)
                yield Escape(failure, certain, arrival.via, arrival.line, conditional)
            else:
                yield arrival

    def failure(self, bit: int) -> Failure:
        """Return the failure of a bit that leaves it, as its handlers left it."""
        arrival = self.arrival(bit)
        while isinstance(arrival, Passed):
            arrival = arrival.source.arrival(bit)
        return arrival.failure

    def via(self, bit: int) -> str:
        """Return the module that a failure came through; empty where it leaves no such body."""
        return self.arrival(bit).via if self.all & bit else ""

    def arrival(self, bit: int) -> Escape | Passed:
        """Return how a failure of a bit came; raises StopIteration where it did not."""
        return next(arrival for brought, arrival in reversed(self.arrivals) if brought & bit)


def _joined(one: int, two: int) -> int:
    """Return both sets of bits as one, which is the same object where it is one of them."""
    both = one | two
    return two if both == two else one if both == one else both


def bits(mask: int) -> Iterator[int]:
    """Yield the places of the bits of a number, the lowest first."""
    text = bin(mask)[:1:-1]
    place = text.find("1")
    while place >= 0:
        yield place
        place = text.find("1", place + 1)


class Tally:
    """For each bit how many numbers have it, counted for all bits at once."""

    def __init__(self) -> None:
        self._digits: list[int] = []

    def add(self, mask: int) -> None:
        """Count a number's bits; the sums stand in binary, a digit of all of them a number."""
        for place, digit in enumerate(self._digits):
            if not mask:
                return
            self._digits[place], mask = digit ^ mask, digit & mask
        if mask:
            self._digits.append(mask)

    def count(self, bit: int) -> int:
        """Return how many of the numbers had a bit."""
        return sum(1 << place for place, digit in enumerate(self._digits) if digit & bit)
