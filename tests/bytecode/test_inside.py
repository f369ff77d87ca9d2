"""What runs on the image's Python, run on this one; ``py_compile`` is its judge."""

from __future__ import annotations

import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from envlock.bytecode import inside

MODULES = {f"package{folder}/module{number}.py": f"X = {number}\n\n\ndef f(a):\n    return a + X\n"
           * (1 + number) for folder in range(3) for number in range(4)}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    for name, text in {**MODULES, "broken.py": "def (", "nul.py": "\0", "data.txt": "x"}.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (folder / "link.py").symlink_to("broken.py")
    return folder


def run(root: Path, jobs: int, shares: int, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    outs = [str(tmp_path / f"out-{share}") for share in range(shares)]
    command = [sys.executable, "-S", inside.__file__, str(jobs), *outs, "--", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def compiled(root: Path, jobs: int, shares: int, tmp_path: Path) -> bytes:
    done = run(root, jobs, shares, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return b"".join((tmp_path / f"out-{share}").read_bytes() for share in range(shares))


def records(data: bytes) -> dict[str, bytes]:
    found = {}
    while data:
        path, size = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
        found[data[8 : 8 + path].decode()] = data[8 + path : 8 + path + size]
        data = data[8 + path + size :]
    return found


def test_pycs_are_pythons_own(root: Path, tmp_path: Path) -> None:
    found = records(compiled(root, 2, 3, tmp_path))
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert len(found) == len(MODULES)
    for name in MODULES:
        made = py_compile.compile(str(root / name), doraise=True, invalidation_mode=unchecked)
        assert made is not None
        assert found[made] == Path(made).read_bytes()


def test_how_many_run_at_once_changes_nothing(root: Path, tmp_path: Path) -> None:
    alone = compiled(root, 1, 16, tmp_path)
    assert compiled(root, 5, 16, tmp_path) == alone
    assert list(records(alone)) == list(records(compiled(root, 1, 1, tmp_path)))


def test_shares_are_alike_in_size(root: Path) -> None:
    paths = list(inside.modules(str(root)))
    parts = inside.shares(paths, 4)
    assert [path for part in parts for path in part] == paths
    sizes = [sum(Path(path).stat().st_size for path in part) for part in parts]
    assert max(sizes) - min(sizes) <= 2 * max(Path(path).stat().st_size for path in paths)
    assert inside.shares([], 3) == [[], [], []]


def test_a_share_that_cannot_be_written(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out-1").mkdir()
    done = run(root, 1, 3, tmp_path)
    assert done.returncode == 1
    assert "IsADirectoryError" in done.stderr
