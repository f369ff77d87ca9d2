"""What a disk's refusals say, and temporary folders that killed processes leave."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from envlock.errors import DiskError
from envlock.files import disk_errors, locked_file, temporary_folder, write_atomically


@pytest.mark.parametrize(
    ("number", "free", "hint"),
    [
        (errno.ENOSPC, True, "make room"),
        (errno.EDQUOT, True, "make room"),
        (errno.EROFS, False, "can only be read"),
        (errno.EACCES, False, "get the permission"),
        (errno.ENOENT, False, None),
        (errno.EIO, False, None),
    ],
)
def test_advice(number: int, free: bool, hint: str | None, tmp_path: Path) -> None:
    with pytest.raises(DiskError) as caught, disk_errors(tmp_path / "a" / "b"):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in caught.value.message
    assert any("MiB are free" in line for line in caught.value.details) == free
    assert (caught.value.hint is None) == (hint is None)
    assert (hint or "") in (caught.value.hint or "")
    assert ("ENVLOCK_CACHE_DIR" in (caught.value.hint or "")) == (hint is not None)


HOLDS = """
import sys
from envlock.files import temporary_folder
with temporary_folder("held-") as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, here and in processes that are started."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_what_a_killed_process_leaves_goes_with_the_next_one(temporary: Path) -> None:
    (temporary / "held-by-a-file").write_text("no folder")
    (temporary / "held-link").symlink_to(temporary)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        held = Path(process.stdout.readline().strip())
        with temporary_folder("held-") as mine:
            assert mine.stat().st_mode & 0o077 == 0
            assert (held / "file").exists()  # it is in use
            with temporary_folder("held-") as second:
                assert mine.is_dir()
                assert second != mine
        assert not mine.exists()
        process.kill()
    assert held.is_dir()
    with temporary_folder("held-"):
        assert not held.exists()
    assert sorted(path.name for path in temporary.iterdir()) == ["held-by-a-file", "held-link"]


def test_a_folder_that_somebody_cleaned_up(temporary: Path) -> None:
    with temporary_folder("held-") as folder:
        folder.rmdir()
    assert list(temporary.iterdir()) == []


def test_what_killed_runs_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    for name in (".a.json.x1", ".a.json.x2", ".b.json.y1"):
        (tmp_path / name).write_bytes(b"half")
    descriptor, mine = locked_file(tmp_path, ".a.json.")
    write_atomically(tmp_path / "a.json", b"whole")
    assert {one.name for one in tmp_path.iterdir()} == {".b.json.y1", mine.name, "a.json"}
    os.close(descriptor)
    write_atomically(tmp_path / "b.json", b"whole")
    assert not (tmp_path / ".b.json.y1").exists()


def test_what_cannot_be_swept_away_is_in_nobodys_way(tmp_path: Path) -> None:
    """Another user's half-written file cannot even be opened; a folder cannot be either."""
    (tmp_path / ".a.json.other").mkdir()
    (tmp_path / ".a.json.x1").write_bytes(b"half")
    write_atomically(tmp_path / "a.json", b"whole")
    assert {one.name for one in tmp_path.iterdir()} == {".a.json.other", "a.json"}


def test_a_folder_is_listed_once_however_many_files_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[Path] = []
    listdir = os.listdir

    def noted(path: Path) -> list[str]:
        listed.append(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", noted)
    for number in range(5):
        write_atomically(tmp_path / f"{number}.json", b"{}", sync=False)
    assert listed == [tmp_path]
