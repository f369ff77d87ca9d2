"""The folder in which parts of runs are kept: a file for each distribution and world.

A file is the digest of the rest, the length of the directory, the directory and the chunks,
each of them a zlib stream of JSON.  The directory has the parts, whose questions are numbers
in a common table; the chunks have the states, each a line, which are seldom wanted.  New chunks
are put behind the old ones.  Whoever writes last wins; what is damaged counts as missing;
what nobody used for a month goes, and the oldest beyond a number and beyond a size.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envlock.audit.model import normalize
from envlock.errors import DiskError
from envlock.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from envlock.audit.index.model import WheelIndex

LAYOUT = 7
"""Version of what is kept; a change makes everything be run anew."""
VARIANTS = 6
"""How many parts are kept for one module: one for each world that it was met in."""
FILES = 2000
AGE = 30 * 24 * 3600.0
"""Seconds after which an unused file goes."""
LARGEST = 64 * 1024 * 1024
"""Bytes of states beyond which a file is begun anew."""

_DIGEST = 32
_LENGTH = struct.Struct("<I")
_CHUNK = 48
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, zlib.error, struct.error)

Part = dict[str, Any]


class Answered:
    """Questions, by number, whose answers are known to be the same as long as nothing changes."""

    __slots__ = ("_numbers", "_time")

    def __init__(self) -> None:
        self._time = 0
        self._numbers: set[int] = set()

    def current(self, time: int) -> set[int]:
        """Return those that were answered at this time; at another one nothing is known."""
        if self._time != time:
            self._time = time
            self._numbers = set()
        return self._numbers


@dataclass(slots=True)
class Shelf:
    """The parts of one distribution.

    questions: what parts ask, by number, each with its answer; modules, functions: parts by
    the module that they begin with, the latest first; chunks: texts of states, packed;
    texts: those that were unpacked; fresh: texts that are not in a chunk yet; found, asked:
    questions that this run answered as the parts do.
    """

    questions: list[Sequence[str]] = field(default_factory=list)
    modules: dict[str, list[Part]] = field(default_factory=dict)
    functions: dict[str, list[Part]] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    texts: dict[int, list[str]] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    found: Answered = field(default_factory=Answered)
    asked: Answered = field(default_factory=Answered)
    changed: bool = False

    def numbered(self, questions: Iterable[tuple[str, ...]]) -> list[int]:
        """Return the numbers of questions with their answers."""
        numbers = self.numbers
        if not numbers:
            numbers.update((tuple(one), place) for place, one in enumerate(self.questions))
        found = []
        for question in questions:
            number = numbers.get(question)
            if number is None:
                number = numbers[question] = len(self.questions)
                self.questions.append(question)
            found.append(number)
        return found

    def add(self, text: str) -> list[int]:
        """Take a state's text, which is one line, and return where it will stand."""
        self.fresh.append(text)
        place = [len(self.chunks), len(self.fresh) - 1]
        if len(self.fresh) == _CHUNK:
            self._close()
        return place

    def _close(self) -> None:
        """Pack the texts that are not in a chunk yet."""
        self.chunks.append(_packed("\n".join(self.fresh)))
        self.fresh = []

    def text(self, chunk: int, place: int) -> str:
        """Return a state's text; raises KeyError where it is not there."""
        if chunk == len(self.chunks):
            return self.fresh[place]
        if chunk not in self.texts:
            self.texts[chunk] = _unpacked(self.chunks[chunk]).split("\n")
        return self.texts[chunk][place]

    def put(self, kind: str, name: str, part: Part) -> None:
        """Keep a part before the others of its module."""
        parts = self.modules if kind == "modules" else self.functions
        parts[name] = [part, *parts.get(name, ())][:VARIANTS]
        self.changed = True

    def join(self, other: Shelf) -> None:
        """Take over the functions' parts of a shelf that has a table of questions of its own."""
        numbers = self.numbered(tuple(question) for question in other.questions)
        for name, parts in other.functions.items():
            for part in reversed(parts):
                asked = {key: [numbers[n] for n in part[key]] for key in ("finds", "events")}
                self.put("functions", name, {**part, **asked})

    def pack(self) -> bytes:
        """Return the shelf as a file."""
        if self.fresh:
            self._close()
        directory = {
            "questions": self.questions,
            "modules": self.modules,
            "functions": self.functions,
            "chunks": [len(chunk) for chunk in self.chunks],
        }
        text = json.dumps(
            directory, separators=(",", ":"), ensure_ascii=False, check_circular=False
        )
        packed = _packed(text)
        parts = [_LENGTH.pack(len(packed)), packed, *self.chunks]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        return b"".join([digest.digest(), *parts])


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 1)


def _unpacked(data: bytes | memoryview) -> str:
    return zlib.decompress(data).decode("utf-8", "surrogatepass")


def _unpack(data: bytes) -> Shelf:
    """Read what :meth:`Shelf.pack` wrote; raises ValueError where it is damaged."""
    if hashlib.sha256(memoryview(data)[_DIGEST:]).digest() != data[:_DIGEST]:
        raise ValueError("damaged")
    (length,) = _LENGTH.unpack_from(data, _DIGEST)
    place = _DIGEST + _LENGTH.size
    directory = json.loads(_unpacked(memoryview(data)[place : place + length]))
    place += length
    chunks = []
    for size in directory["chunks"]:
        chunks.append(data[place : place + size])
        place += size
    return Shelf(
        questions=directory["questions"],
        modules=directory["modules"],
        functions=directory["functions"],
        chunks=chunks,
    )


def prune(folder: Path) -> None:
    """Remove the files of a folder that nobody used for long, and the oldest if they are many."""
    with contextlib.suppress(OSError):
        found = [(path.stat().st_mtime, path) for path in folder.iterdir()]
        found.sort(key=lambda pair: pair[0], reverse=True)
        limit = time.time() - AGE
        for number, (used, path) in enumerate(found):
            if number >= FILES or used < limit:
                path.unlink(missing_ok=True)


class Kept:
    """Shelves by distribution; ``world`` is what every answer depends on (rules, target).

    ``folder`` None keeps nothing on disk.
    """

    def __init__(self, folder: Path | None, world: str) -> None:
        self._folder = folder
        self._world = hashlib.sha256(world.encode()).hexdigest()[:24]
        self._shelves: dict[str, Shelf] = {}
        self._writer = ThreadPoolExecutor(1)
        self._written: list[Future[None]] = []

    def of(self, owner: WheelIndex) -> Shelf:
        """Return the shelf of a distribution."""
        return self.shelf(normalize(owner.name))

    def shelf(self, name: str) -> Shelf:
        """Return the shelf of a distribution by its normalized name."""
        found = self._shelves.get(name)
        if found is None:
            path = self._path(name)
            found = self._shelves[name] = self._read(path) if path is not None else Shelf()
        return found

    def has(self, owner: WheelIndex) -> bool:
        """Tell whether there is a shelf of a distribution on disk, without reading it."""
        path = self._path(normalize(owner.name))
        return path is not None and path.exists()

    def taken(self) -> dict[str, Shelf]:
        """Hand over all shelves, by the distributions' normalized names, and forget them."""
        found, self._shelves = self._shelves, {}
        return found

    def _read(self, path: Path) -> Shelf:
        try:
            found = _unpack(path.read_bytes())
        except _DAMAGED:
            return Shelf()
        if sum(len(chunk) for chunk in found.chunks) > LARGEST:
            return Shelf()
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def finish(self, name: str) -> None:
        """Write a shelf, by the distribution's normalized name, on which nothing more is put.

        That is done meanwhile; a disk that refuses only costs time.
        """
        shelf = self._shelves.pop(name, None)
        if shelf is not None and shelf.changed:
            self._written.append(self._writer.submit(self._write, name, shelf))

    def keep(self) -> None:
        """Write what is left, wait until all is written, and remove what is old."""
        for name in sorted(self._shelves):
            self.finish(name)
        self._writer.shutdown()
        for written in self._written:
            written.result()
        if self._written and self._folder is not None:
            prune(self._folder)

    def _write(self, name: str, shelf: Shelf) -> None:
        path = self._path(name)
        if path is not None:
            with contextlib.suppress(DiskError):
                write_atomically(path, shelf.pack(), sync=False)

    def _path(self, name: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{name}.{self._world}.trace"
