"""What is kept, and what becomes of damaged entries."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from envlock.audit import Target, audit_wheels, index_wheel
from envlock.audit.index.cache import IndexCache, decode, encode
from envlock.audit.index.entries import Entry, record
from envlock.audit.index.model import WheelIndex
from tests.audit.making import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

TARGET = Target(python="3.11")


def test_the_second_audit_reads_no_wheel(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "app", {"app.py": "import absent\n"})
    first = audit_wheels([wheel], TARGET, cache=tmp_path / "cache", jobs=1)
    assert audit_wheels([wheel], TARGET, cache=tmp_path / "cache", jobs=1) == first
    kept = sorted(path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert kept == [".audit", ".index"]


def test_damaged_entries_are_made_anew(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "app", {"app.py": "import absent\n"})
    first = audit_wheels([wheel], TARGET, cache=tmp_path / "cache", jobs=1)
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\x01\x02\x03\x04\x05")
    assert audit_wheels([wheel], TARGET, cache=tmp_path / "cache", jobs=1) == first


def test_indexes_are_found_by_sha256(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path)
    assert cache.get("0" * 64) is None
    assert IndexCache(None).get("0" * 64) is None
    assert not cache.has("0" * 64)


FACTS = {"kind": "py", "file": "a.py", "open": True, "body": [["i", 1, "x", ""]], "functions": {}}


def test_every_byte_of_an_index_counts() -> None:
    data = encode(WheelIndex(name="a", version="1"), [record("a", FACTS, "00")])
    assert decode(data).modules["a"] == FACTS
    for place in (0, 33, 40, len(data) - 3):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(ValueError, match="damaged"):
            decode(bytes(changed))


def test_a_module_is_unpacked_when_somebody_looks() -> None:
    stream = record("a", FACTS).stream
    entry = Entry({"kind": "py"}, "", b"no stream")
    assert (entry["kind"], entry.get("open", False)) == ("py", False)
    with pytest.raises(zlib.error):
        entry.get("body")
    entry = Entry({"kind": "py"}, "", stream)
    assert entry["body"] == FACTS["body"]
    assert entry.get("strings") is None
    assert set(entry) == {"kind", "body", "functions"}
    assert len(Entry({"kind": "so"}, "", b"")) == 1
    with pytest.raises(KeyError):
        Entry({"kind": "so"}, "", b"")["body"]


def test_texts_that_no_encoding_knows_survive(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "app", {"app.py": "if x == '\\ud800':\n    import absent\n"})
    assert index_wheel(wheel).modules["app"]["body"]
