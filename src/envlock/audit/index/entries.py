"""A module's part of an index, packed and unpacked.

What is asked of every module (its kind, its file, its marks) is at hand.  The body, which is
run once, and the functions, which are wanted later or by others, are two streams, each read
when somebody asks for it and let go of some time after that.  Of most functions it is enough to
know what they may ask for; so a function's own body is read when it is run.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.audit.index.quick import Item

_BODY = ("body",)
_REST = ("functions", "strings")
_MOST = 1000
"""How many modules have their functions unpacked at a time."""
_WANTED = 3
"""How often a module's functions are unpacked before they stay: others use them all the time."""
_LENGTH = struct.Struct("<I")
_unpacked: deque[Entry] = deque()
"""Modules of all indexes whose functions are unpacked, the latest last: what bounds the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A module as the index's file holds it.

    head: what is at hand; digest: the sha256 of the source, in hexadecimal, empty where no
    source was read; stream: the rest, packed (the length of the body's stream, that stream, and
    the one of functions and texts), empty where there is none.
    """

    module: str
    head: dict[str, Any]
    digest: str = ""
    stream: bytes = b""


def record(module: str, entry: Mapping[str, Any], digest: str = "") -> Record:
    """Pack what :func:`envlock.audit.index.module.index_source` found."""
    head = {key: value for key, value in entry.items() if key not in (*_BODY, *_REST)}
    body = {key: entry[key] for key in _BODY if key in entry}
    rest = {key: entry[key] for key in _REST if key in entry}
    if not body and not rest:
        return Record(module=module, head=head, digest=digest)
    first = zlib.compress(_text(body), 1)
    stream = b"".join([_LENGTH.pack(len(first)), first, zlib.compress(_parts(rest), 1)])
    return Record(module=module, head=head, digest=digest, stream=stream)


def _parts(rest: dict[str, Any]) -> bytes:
    """Return functions and texts: a line without the functions' bodies, and these behind it."""
    bodies = {name: _text(entry[2]) for name, entry in rest.get("functions", {}).items()}
    if "functions" in rest:
        table = {
            name: [line, params, len(bodies[name]), names, asked]
            for name, (line, params, _, names, asked) in rest["functions"].items()
        }
        rest = {**rest, "functions": table}
    return b"\n".join([_text(rest), b"".join(bodies.values())])


def _text(facts: Any) -> bytes:
    """Return facts as one line of JSON."""
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=False, check_circular=False)
    return text.encode("utf-8", "surrogatepass")


class Functions(Mapping[str, list[Any]]):
    """A module's functions by name: line, parameters, body, local names and what it may ask for.

    The body stands as its text's length in ``table`` until the function is asked for.
    """

    __slots__ = ("_places", "_table", "_texts")

    def __init__(self, table: dict[str, list[Any]], texts: bytes) -> None:
        self._table = table
        self._texts = texts
        self._places: dict[str, int] | None = None

    def asked(self) -> Iterator[tuple[str, list[Item] | None]]:
        """Yield each function's name and what it may ask for, if that is all that matters."""
        for name, entry in self._table.items():
            yield name, entry[4]

    def __getitem__(self, name: str) -> list[Any]:
        entry = self._table[name]
        if self._places is None:
            lengths = [one[2] for one in self._table.values()]
            self._places = dict(zip(self._table, accumulate(lengths, initial=0), strict=False))
        place = self._places.pop(name, None)
        if place is not None:
            entry[2] = _read(self._texts[place : place + entry[2]])
        return entry

    def get(self, name: str, default: Any = None) -> Any:
        """Return a function or ``default``; without an exception, since most are absent."""
        return self[name] if name in self._table else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class Entry(Mapping[str, Any]):
    """A module of an index; equal to a mapping with the same content."""

    __slots__ = ("_facts", "_stream", "_times", "digest")

    def __init__(self, head: dict[str, Any], digest: str, stream: bytes) -> None:
        self._facts = head
        self._stream = stream
        self._times = 0
        self.digest = digest

    def __getitem__(self, key: str) -> Any:
        try:
            return self._facts[key]
        except KeyError:
            self._load(key)
            return self._facts[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return a fact or ``default``; without an exception, since most are absent."""
        if self._stream and key not in self._facts:
            self._load(key)
        return self._facts.get(key, default)

    def __iter__(self) -> Iterator[str]:
        self._load("body")
        self._load("functions")
        return iter(self._facts)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def release(self, keys: tuple[str, ...] = _BODY) -> None:
        """Let go of what was unpacked, which is read again if it is wanted again."""
        if self._stream:
            for key in keys:
                self._facts.pop(key, None)

    def _load(self, key: str) -> None:
        """Unpack the part of the stream that may hold a key; there may be none."""
        if not self._stream or (key not in _BODY and key not in _REST):
            return
        (length,) = _LENGTH.unpack_from(self._stream)
        start = _LENGTH.size
        if key in _BODY:
            self._facts.update(_read(zlib.decompress(self._stream[start : start + length])))
            return
        if "functions" in self._facts:
            return  # and there are no texts
        line, _, texts = zlib.decompress(self._stream[start + length :]).partition(b"\n")
        facts = _read(line)
        if "functions" in facts:
            facts["functions"] = Functions(facts["functions"], texts)
        self._facts.update(facts)
        self._times += 1
        if self._times <= _WANTED:
            _unpacked.append(self)
            while len(_unpacked) > _MOST:
                _unpacked.popleft().release(_REST)


def _read(text: bytes) -> Any:
    return json.loads(text.decode("utf-8", "surrogatepass"))
