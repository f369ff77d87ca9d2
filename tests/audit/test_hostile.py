"""Whatever a wheel holds: a note, never a crash, and nothing of it runs."""

from __future__ import annotations

import contextlib
import io
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envlock.audit import Target, audit_wheels, index_wheel
from envlock.audit.index.module import SkippedError, index_source
from envlock.errors import ArtifactError
from tests.audit.making import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.audit.conftest import Auditor

WORDS = st.sampled_from(
    [
        "import",
        "from",
        "as",
        "try",
        "except",
        "else",
        "finally",
        "if",
        "def",
        "class",
        "return",
        "raise",
        "with",
        "suppress",
        "lib",
        ".",
        ":",
        "(",
        ")",
        "[",
        "]",
        "=",
        "==",
        "*",
        ",",
        "global",
        "__all__",
        "+=",
        "__getattr__",
        "sys.modules",
        "'x'",
        "1",
        "lambda",
        "for",
        "in",
        "not",
        "\n",
        "pass",
    ]
)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes(source: bytes) -> None:
    with contextlib.suppress(SkippedError):
        index_source(source, "m", package=False)


@given(st.lists(WORDS, max_size=40).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_any_words(source: str) -> None:
    with contextlib.suppress(SkippedError):
        index_source(source.encode(), "m.n", package=True)


@pytest.mark.parametrize(
    "source",
    [
        b"\xff\xfe\x00",
        b"# coding: nonsense\nimport x\n",
        b"x = '\x00'\n",
        b"(" * 5000 + b")" * 5000,
        b"x = " + b"-" * 100_000 + b"1\n",
        b"x = " + b"+".join([b"1"] * 50_000) + b"\n",
        b"type X = int\ndef f[T](x: T) -> T: ...\n",
        b"if x:\n pass\n" + b"elif x:\n import y\n" * 3000,
        b"x = " + b"9" * 10_000 + b"\n",
        b"\n" * 5_000_000,
        b"# coding: utf-7\nimport sys+AAoACgAK-sys.path.insert(0, '')\n",
        b"# coding: latin-1\nna\xefve = 1\nimport sys\nsys.path.insert(0, na\xefve)\n",
        b"def " * 50_000,
        b"import " * 50_000,
        b'import sys\nf"""{\nsys.path if sys.path else (\nsys.argv)\n}"""\n',
    ],
    ids=range(15),
)
def test_hostile_sources(audit: Auditor, source: bytes) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = audit(
        {"app": {"app/__init__.py": source, "app/ok.py": "import absent\n"}}, python=python
    )
    assert [f.needs.name for f in found.of("breaks-import")] == [
        "SyntaxError" for _ in range(_is_refused(source))
    ]


def _is_refused(source: bytes) -> bool:
    try:
        compile(source, "app", "exec")
    except SyntaxError:
        return b"\0" not in source  # such are left out; conda's links without an end stand so
    except (ValueError, RecursionError, MemoryError):
        return False
    return False


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_line_ends_do_not_matter(end: bytes) -> None:
    source = b"import x\n\x0c\n\ndef f():\n    return x.y\n\n# \xe2\x80\xa8\nx.z(\n1)\n"
    plain = index_source(source, "m", package=False)
    assert ["x", 8, "x.z"] in plain["body"]
    assert index_source(source.replace(b"\n", end), "m", package=False) == plain


def test_code_never_runs(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    source = f"open({str(trap)!r}, 'w')\n"
    wheel = make_wheel(tmp_path, "app", {"app.py": source, "app.pth": f"import os; {source}"})
    audit_wheels([wheel], Target(python="3.11"), jobs=1)
    assert not trap.exists()


def test_broken_zips_are_noted(tmp_path: Path) -> None:
    bad = tmp_path / "bad-1.0-py3-none-any.whl"
    bad.write_bytes(b"PK\x03\x04 not a zip")
    good = make_wheel(tmp_path, "app", {"app.py": "import app\n"})
    found = audit_wheels([bad, good], Target(python="3.11"), jobs=1)
    assert any(note.startswith("bad-1.0") for note in found.notes)
    assert found.roots == {"app": "ok"}
    with pytest.raises(ArtifactError):
        index_wheel(bad)


def test_damaged_members_are_noted(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "app", {"app/__init__.py": "value = 12345\n" * 30})
    data = bytearray(wheel.read_bytes())
    place = data.index(b"value = 12345")
    data[place : place + 5] = b"VALUE"
    wheel.write_bytes(data)
    (note,) = index_wheel(wheel).notes
    assert "damaged" in note


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app/__init__.py", b"#" * (64 * 1024 * 1024))
    wheel = tmp_path / "app-1.0-py3-none-any.whl"
    wheel.write_bytes(stream.getvalue())
    index = index_wheel(wheel)
    assert (index.name, index.version) == ("app", "1.0")
    assert "more than is read" in index.notes[0]


def test_a_wheel_of_small_bombs_is_left_out(tmp_path: Path) -> None:
    wheel = tmp_path / "app-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"app/m{number}.py", b"#")
    data = wheel.read_bytes()
    place = data.find(b"PK\x01\x02")  # an entry of the directory; the plain size is at 24
    while place >= 0:
        data = data[: place + 24] + (250_000_000).to_bytes(4, "little") + data[place + 28 :]
        place = data.find(b"PK\x01\x02", place + 1)
    wheel.write_bytes(data)
    with pytest.raises(ArtifactError, match="1250000000 bytes of sources"):
        index_wheel(wheel)


@pytest.mark.parametrize("source", [b"x = [" + b"a," * 400_000 + b"]\n", b"a\n" * 400_000])
def test_sources_that_make_huge_trees_are_left_out(source: bytes) -> None:
    with pytest.raises(SkippedError, match="words and marks"):
        index_source(source, "m", package=False)


def test_long_texts_are_read() -> None:
    found = index_source(b"x = '" + b"y" * 900_000 + b"'\nimport a\n", "m", package=False)
    assert found["body"][-1] == ["i", 2, "a", ""]


def test_recursive_calls_end(audit: Auditor) -> None:
    source = """
        def a(n): return b(n)
        def b(n): return a(n)
        if a(1):
            import absent
        def c(): c(); import absent
        c()
        """
    audit({"app": {"app.py": source}})


def test_long_chains_of_modules(audit: Auditor) -> None:
    count = 400
    files = {f"app/m{n}.py": f"from app import m{n + 1}\n" for n in range(count)}
    files |= {"app/__init__.py": "from app import m0\n", f"app/m{count}.py": "x = 1\n"}
    assert not audit({"app": files}).of("breaks-import")
