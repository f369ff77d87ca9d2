"""What is kept, and what becomes of damaged entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.audit import Target, audit_wheels
from envlock.audit.index.cache import IndexCache
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
