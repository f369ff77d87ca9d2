"""Folders of wheels as indexes: by a path in the project, by a URL, and wherever else they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from envlock.errors import DiskError, UsageError
from envlock.fetch.folders import index_of
from envlock.lock.codec import load_lock

from ..makers.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

BODY = "indexes: {ours: ./wheels}\npypi: {dependencies: [Acme.Util, b]}\n"


@pytest.fixture
def wheels(machine: Machine, index: Index) -> Path:
    """A folder of one wheel in the project, whose dependency comes from the usual index."""
    index.wheel("a", "1.0")
    index.wheel("b", "1.0")
    folder = machine.project / "wheels"
    folder.mkdir()
    make_wheel(folder, "acme_util", "1.0", requires=["a"])
    (folder / "notes.txt").write_text("no wheel\n")
    return folder


def test_a_folder_of_the_project(machine: Machine, wheels: Path) -> None:
    machine.write_spec("one", BODY)
    done = machine.run("solve")
    assert done.returncode == 0, done.stderr
    lock = load_lock(machine.lock("one"))
    (ours,) = [one for one in lock.of_kind("pypi") if one.source == "ours"]
    assert (ours.name, ours.path) == ("acme-util", f"acme-util/{ours.file}")
    assert [one.name for one in lock.of_kind("pypi")] == ["a", "acme-util", "b"]
    assert str(machine.root) not in machine.lock("one").read_text()
    assert machine.run("bundle", "one").returncode == 0


def test_the_same_lock_wherever_the_folder_is(
    machine: Machine, wheels: Path, tmp_path: Path
) -> None:
    machine.write_spec("one", BODY)
    assert machine.run("solve").returncode == 0
    before = machine.lock("one").read_bytes()
    machine.lock("one").unlink()
    elsewhere = wheels.rename(tmp_path / "with a space")
    done = machine.run("solve", ENVLOCK_INDEX_OURS=elsewhere.as_uri())
    assert done.returncode == 0, done.stderr
    assert machine.lock("one").read_bytes() == before


def test_pages_that_are_used_are_marked_as_used(machine: Machine, wheels: Path) -> None:
    """What a running command has marked is not pruned."""
    folders = machine.cache / "folders"
    index_of("ours", "./wheels", machine.project, folders)
    (pages,) = folders.iterdir()
    os.utime(pages, (0, 0))
    index_of("ours", "./wheels", machine.project, folders)
    assert pages.stat().st_mtime > 0


def test_a_wheel_that_was_made_anew(machine: Machine, wheels: Path) -> None:
    machine.write_spec("one", BODY)
    assert machine.run("solve").returncode == 0
    make_wheel(wheels, "acme_util", "1.0", requires=["a"], files={"acme_util/new.py": ""})
    done = machine.run("solve")
    assert "\n  ~ acme-util 1.0, another file\n" in done.stderr
    assert "  ~ " not in machine.run("solve").stderr


def test_what_is_put_into_it_and_taken_out(machine: Machine, wheels: Path) -> None:
    machine.write_spec("one", BODY)
    assert machine.run("solve").returncode == 0
    make_wheel(wheels, "acme_util", "2.0", requires=["a"])
    make_wheel(wheels, "b", "9.0")
    assert machine.run("solve", "-U").returncode == 0
    found = {one.name: one.version for one in load_lock(machine.lock("one")).of_kind("pypi")}
    assert found == {"a": "1.0", "acme-util": "2.0", "b": "9.0"}
    for file in wheels.glob("b-*"):
        file.unlink()
    assert machine.run("solve", "-U").returncode == 0
    found = {one.name: one.version for one in load_lock(machine.lock("one")).of_kind("pypi")}
    assert found["b"] == "1.0"


def test_a_folder_that_is_not_there(machine: Machine, index: Index) -> None:
    machine.write_spec("one", BODY)
    done = machine.run("solve")
    assert done.returncode == 2
    assert "the index 'ours' is the folder ./wheels, which is not there" in done.stderr
    machine.write_spec("one", BODY.replace("./wheels", "wheels"))
    done = machine.run("solve")
    assert done.returncode == 2
    assert "a folder of wheels in the project: ./wheels" in done.stderr


def test_what_has_pages_already_is_left_alone(tmp_path: Path) -> None:
    for url in ("https://index.example.com/simple", "file:///nowhere/simple", tmp_path.as_uri()):
        assert index_of("x", url, tmp_path, tmp_path / "pages") == url
    (tmp_path / "simple" / "a").mkdir(parents=True)
    make_wheel(tmp_path / "simple" / "a", "a", "1.0")
    place = (tmp_path / "simple").as_uri()
    assert index_of("x", "./simple", tmp_path, tmp_path / "pages") == place
    assert not (tmp_path / "pages").exists()
    with pytest.raises(UsageError, match="'x' is the folder"):
        index_of("x", "./none", tmp_path, tmp_path / "pages")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    make_wheel(tmp_path, "a", "1.0")
    (tmp_path / "pages").write_text("a file\n")
    with pytest.raises(DiskError):
        index_of("x", "./", tmp_path, tmp_path / "pages")
