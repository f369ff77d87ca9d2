"""A module's part of an index, packed and unpacked.

What is asked of every module (its kind, its file, its marks) is at hand; the skeleton is read
from its stream when somebody asks for it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKED = ("body", "functions", "strings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A module as the index's file holds it.

    head: what is at hand; digest: the sha256 of the source, in hexadecimal, empty where no
    source was read; stream: the rest, packed, empty where there is none.
    """

    module: str
    head: dict[str, Any]
    digest: str = ""
    stream: bytes = b""


def record(module: str, entry: Mapping[str, Any], digest: str = "") -> Record:
    """Pack what :func:`envlock.audit.index.module.index_source` found."""
    head = {key: value for key, value in entry.items() if key not in _PACKED}
    rest = {key: entry[key] for key in _PACKED if key in entry}
    if not rest:
        return Record(module=module, head=head, digest=digest)
    text = json.dumps(rest, separators=(",", ":"), ensure_ascii=False, check_circular=False)
    stream = zlib.compress(text.encode("utf-8", "surrogatepass"), 1)
    return Record(module=module, head=head, digest=digest, stream=stream)


class Entry(Mapping[str, Any]):
    """A module of an index; equal to a mapping with the same content."""

    __slots__ = ("_facts", "_packed", "_stream", "digest")

    def __init__(self, head: dict[str, Any], digest: str, stream: bytes) -> None:
        self._facts = head
        self._packed = stream
        self._stream = stream
        self.digest = digest

    def __getitem__(self, key: str) -> Any:
        try:
            return self._facts[key]
        except KeyError:
            if not self._stream or key not in _PACKED:
                raise
            self._load()
            return self._facts[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return a fact or ``default``; without an exception, since most are absent."""
        if self._stream and key in _PACKED and key not in self._facts:
            self._load()
        return self._facts.get(key, default)

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._facts)

    def __len__(self) -> int:
        self._load()
        return len(self._facts)

    def release(self) -> None:
        """Let go of the body, which is read again if it is wanted again."""
        if self._packed and not self._stream:
            self._facts.pop("body", None)
            self._stream = self._packed

    def _load(self) -> None:
        if self._stream:
            text = zlib.decompress(self._stream).decode("utf-8", "surrogatepass")
            self._facts.update(json.loads(text))
            self._stream = b""
