"""What is kept, and what becomes of damaged entries."""

from __future__ import annotations

import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from envlock.audit import Target, audit_wheels, index_wheel
from envlock.audit.index.cache import IndexCache, decode, encode
from envlock.audit.index.entries import Entry, record
from envlock.audit.index.model import FORMAT, WheelIndex
from envlock.audit.index.parallel import index_all
from tests.audit.making import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

TARGET = Target(python="3.11")


def test_the_second_audit_reads_no_wheel(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "app", {"app.py": "import absent\n"})
    first = audit_wheels([wheel], TARGET, cache=tmp_path / "cache", jobs=1)
    assert audit_wheels([wheel], TARGET, cache=tmp_path / "cache", jobs=1) == first
    kept = sorted(path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert kept == [".audit", ".index", ".latest", ".trace"]


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
    entry = Entry({"kind": "py"}, "", b"\x02\0\0\0no stream")
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


def test_a_functions_body_is_read_when_it_is_asked_for() -> None:
    functions: dict[str, Any] = {
        "a": [1, ["x"], [["x", 2, "m.\udce4"], ["i", 3, "y\n", ""]], ["z"], ["m.n"]],
        "A.b": [5, None, [], [], None],
        "A.ü": [7, [], [["f", 8, "m", [["n", "n"]]]], [], None],
    }
    stream = record("a", {"kind": "py", "functions": functions, "strings": ["s"]}).stream
    entry = Entry({"kind": "py"}, "", stream)
    found = entry["functions"]
    assert list(found.asked()) == [(name, one[4]) for name, one in functions.items()]
    assert found["A.ü"] == functions["A.ü"] == found.get("A.ü")
    assert found.get("b") is None
    with pytest.raises(KeyError):
        found["b"]
    assert found == functions
    assert len(found) == 3
    assert entry["strings"] == ["s"]


def test_functions_of_many_modules_are_not_unpacked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("envlock.audit.index.entries._MOST", 8)
    records = [record(f"m{number:02}", FACTS) for number in range(30)]
    modules = decode(encode(WheelIndex(name="a", version="1"), records)).modules
    entries = [entry for entry in modules.values() if isinstance(entry, Entry)]
    helper = entries[0]
    for entry in entries:
        assert entry["functions"] == {}
        assert helper["functions"] == {}  # wanted by all
    assert sum("functions" in entry._facts for entry in entries) < 12
    assert "functions" in helper._facts
    assert all(entry == FACTS for entry in entries)


def test_texts_that_no_encoding_knows_survive(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "app", {"app.py": "if x == '\\ud800':\n    import absent\n"})
    assert index_wheel(wheel).modules["app"]["body"]


def test_the_next_version_reads_only_what_changed(tmp_path: Path) -> None:
    sources = {"app/__init__.py": "", "app/same.py": "import one\n", "app/other.py": "import two\n"}
    cache = IndexCache(tmp_path / "cache")
    old = make_wheel(tmp_path, "app", sources)
    index_all({"1" * 64: old}, cache.put, jobs=1)
    # a mark that only a copied record can have
    records = [
        record(name, {**entry, "body": [["i", 7, "mark", ""]]}, entry.digest)
        for name, entry in index_wheel(old).modules.items()
        if isinstance(entry, Entry)
    ]
    cache.put("1" * 64, encode(index_wheel(old), records))
    changed = {**sources, "app/other.py": "import three\n", "app/new.py": "import one\n"}
    new = make_wheel(tmp_path, "app", changed, version="2.0")
    index_all({"2" * 64: new}, cache.put, known=cache.records, jobs=1)
    found = cache.get("2" * 64)
    assert found is not None
    bodies = {name: entry["body"] for name, entry in found.modules.items()}
    assert bodies["app.same"] == bodies["app"] == [["i", 7, "mark", ""]]
    assert bodies["app.other"] == [["i", 1, "three", ""]]
    assert bodies["app.new"] == [["i", 1, "one", ""]]
    assert found.modules["app.new"]["file"] == "app/new.py"


def test_an_index_does_not_depend_on_what_was_there_before(tmp_path: Path) -> None:
    old = make_wheel(tmp_path, "app", {"app/__init__.py": "import one\n", "app/b.py": "x = 1\n"})
    new = make_wheel(tmp_path, "app", {"app.py": "import one\n", "b.py": "x = 1\n"}, version="2")
    cache = IndexCache(tmp_path / "cache")
    index_all({"1" * 64: old}, cache.put, jobs=1)
    index_all({"2" * 64: new}, cache.put, known=cache.records, jobs=1)
    assert cache.get("2" * 64) == index_wheel(new)


def test_names_that_are_no_names_have_no_past(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path)
    assert cache.records("../up") == cache.records("") == IndexCache(None).records("app") == {}
    (tmp_path / f"app.{FORMAT}.latest").write_text("../../elsewhere")
    assert cache.records("app") == {}


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    """What the documentation shows, as a file that is run."""
    wheels = [make_wheel(tmp_path, name, {f"{name}.py": "import gone\n"}) for name in ("a", "b")]
    script = tmp_path / "look.py"
    script.write_text(
        "from pathlib import Path\n"
        "from envlock.audit import audit_wheels, target_of\n"
        f"paths = [Path(text) for text in {[str(path) for path in wheels]}]\n"
        "for finding in audit_wheels(paths, target_of('3.11', 'linux-64')).of('breaks-import'):\n"
        "    print(finding.text)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "a needs gone\nb needs gone\n"
