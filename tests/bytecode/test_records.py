"""Compiled modules in files: their order, and what an enemy may write."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from envlock.bytecode import inside
from envlock.bytecode.records import Record, contents, in_order, records

NAMES = st.text(st.sampled_from("ab.-_é"), min_size=1, max_size=3).filter(lambda n: n.strip("."))
TREES = st.sets(st.lists(NAMES, min_size=1, max_size=3).map("/".join), min_size=1, max_size=12)


def record(path: str) -> Record:
    return Record(path=path, file=Path("nowhere"), offset=0, size=0)


@settings(max_examples=40, deadline=None)
@given(TREES)
def test_the_order_is_that_of_the_walk(names: set[str]) -> None:
    """Whatever order they come in."""
    with tempfile.TemporaryDirectory() as folder:
        for name in sorted(names):
            place = Path(folder, "site", f"{name}.py")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        walked = list(inside.modules(f"{folder}/site"))
        compiled = [sys_cache(path) for path in walked]
        found = in_order([record(path) for path in sorted(compiled)], f"{folder}/site")
    assert [one.path for one in found] == compiled
    assert [one.source for one in found] == walked


def sys_cache(path: str) -> str:
    """Return the place that ``importlib.util.cache_from_source`` of CPython 3.11 returns."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-311.pyc"


def test_site_packages_come_before_the_standard_library() -> None:
    site = "/usr/lib/python3.11/site-packages"
    paths = [f"{site}/z/__pycache__/a.x.pyc", "/usr/lib/python3.11/__pycache__/a.x.pyc"]
    for some in (paths, paths[::-1]):
        assert [one.path for one in in_order(map(record, some), site)] == paths
    other = "/opt/env/lib/python3.11/site-packages"
    assert [one.path for one in in_order(map(record, paths), other)] == paths[::-1]


def test_what_python_wrote_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.py").write_text("A = 1\n")
    (tmp_path / "site" / "b.py").write_text("B = 2\n")
    out = tmp_path / "out"
    command = [sys.executable, "-S", inside.__file__, "1", str(out), "--", str(tmp_path / "site")]
    subprocess.run(command, check=True)
    found = records(out)
    assert [Path(one.source).name for one in found] == ["a.py", "b.py"]
    assert b"".join(one.head() + data for one, data in contents(found)) == out.read_bytes()
    backwards = [data for _, data in contents(found[::-1])]
    assert backwards == [data for _, data in contents(found)][::-1]
