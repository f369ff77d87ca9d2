"""``envlock install --check``: whether a folder is what a lock says."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from envlock.errors import LockError
from envlock.install.environment import install
from envlock.install.listing import LISTING, Changes, changes
from envlock.lock.codec import dump_lock
from envlock.progress import SILENT

from ..layers_conda.building import zoo
from ..makers.machine import Machine
from .test_install import installed, wheels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    installed(wheels(tmp_path), tmp_path / "prefix")
    return tmp_path / "prefix"


def test_what_is_installed_is_whole(prefix: Path) -> None:
    assert not changes(prefix)
    compiled = prefix / SITE / "one" / "__pycache__"
    compiled.mkdir()
    (compiled / "__init__.cpython-311.pyc").write_bytes(b"x")
    assert changes(prefix) == Changes()


def test_conda_packages_too(tmp_path: Path) -> None:
    """Links, hard links, files with the prefix in them, folders without files."""
    made = zoo(tmp_path)
    install(made.lock, made.paths, tmp_path / "prefix", None, SILENT, workers=1, prove=None)
    assert not changes(tmp_path / "prefix")
    (tmp_path / "prefix" / "lib" / "libtool.so").unlink()
    (tmp_path / "prefix" / "lib" / "libtool.so").symlink_to("elsewhere")
    (tmp_path / "prefix" / "conda-meta" / "history").write_text("==> 2025 <==\n")
    assert changes(tmp_path / "prefix").changed == ("conda-meta/history", "lib/libtool.so")


def _edit(prefix: Path) -> None:
    (prefix / SITE / "one" / "data.txt").write_text("y" * 3000)


def _cut(prefix: Path) -> None:
    (prefix / SITE / "one" / "data.txt").write_text("x")


def _exchange(prefix: Path) -> None:
    (prefix / SITE / "one" / "data.txt").unlink()
    (prefix / SITE / "one" / "data.txt").symlink_to("__init__.py")


def _remove(prefix: Path) -> None:
    (prefix / "bin" / "one").unlink()


def _add(prefix: Path) -> None:
    (prefix / SITE / "new.py").write_text("")


def _folder(prefix: Path) -> None:
    (prefix / "bin" / "one").unlink()
    (prefix / "bin" / "one").mkdir()
    (prefix / "bin" / "one" / "x").write_text("")


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (_edit, Changes(changed=(f"{SITE}/one/data.txt",))),
        (_cut, Changes(changed=(f"{SITE}/one/data.txt",))),
        (_exchange, Changes(changed=(f"{SITE}/one/data.txt",))),
        (_remove, Changes(missing=("bin/one",))),
        (_add, Changes(added=(f"{SITE}/new.py",))),
        (_folder, Changes(missing=("bin/one",), added=("bin/one/x",))),
    ],
)
def test_what_became_of_it(
    prefix: Path, change: Callable[[Path], None], seen: Changes, tmp_path: Path
) -> None:
    change(prefix)
    assert changes(prefix) == seen
    installed(wheels(tmp_path), prefix)
    assert not changes(prefix)


@pytest.mark.parametrize(
    "text", [None, "{", "[]", '{"format": 2, "files": {}}', '{"files": {"a": 1}}']
)
def test_a_list_that_is_none(prefix: Path, text: str | None) -> None:
    (prefix / LISTING).unlink()
    if text is not None:
        (prefix / LISTING).write_text(text)
    with pytest.raises(LockError, match="the list of its files cannot be read"):
        changes(prefix)


def test_the_command(prefix: Path, tmp_path: Path) -> None:
    environment = wheels(tmp_path)
    machine = Machine(tmp_path / "machine")
    (machine.project / "locks").mkdir()
    machine.lock(environment.lock.name).write_text(dump_lock(environment.lock))
    arguments = ("install", environment.lock.name, "--prefix", str(prefix), "--check")
    done = machine.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "is what the lock says" in done.stderr
    _edit(prefix)
    (prefix / "bin" / f"python{SITE[10:14]}").unlink()
    more = wheels(tmp_path, *installed_more(tmp_path))
    machine.lock(environment.lock.name).write_text(dump_lock(more.lock))
    before = sorted(os.walk(prefix))
    done = machine.run(*arguments, "--json")
    assert done.returncode == 1
    value = json.loads(done.stdout)
    assert value["fresh"] is False
    assert value["changed"] == [f"{SITE}/one/data.txt"]
    assert value["missing"] == [f"bin/python{SITE[10:14]}"]
    assert value["reasons"][:2] == ["+ more 1.0", f"its Python is gone: {sys.base_prefix}"]
    assert f"--prefix {prefix} makes it so" in done.stderr
    assert sorted(os.walk(prefix)) == before
    nothing = machine.run(*arguments[:3], str(tmp_path / "nothing"), "--check")
    assert nothing.returncode == 2
    assert "this is no environment that envlock installed" in nothing.stderr


def installed_more(folder: Path) -> list[Path]:
    from ..makers.wheels import make_wheel

    return [make_wheel(folder, "more", "1.0")]
