"""Locks with an override as pylock.toml and requirements.txt; pip and uv install them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.pylock import Pylock
from uv import find_uv_bin

from ..makers.index import Index
from ..makers.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = """\
pypi:
  dependencies: [web]
overrides:
  - package: kernel
    version: "==2.3.1"
    against: {web: "kernel==3.2.0"}
    because: a test needs it
    checks: [{version: 2.3.1}]
"""


@pytest.fixture(scope="module")
def forced(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Machine]:
    """A machine with a locked environment of three wheels, one of them forced."""
    root = tmp_path_factory.mktemp("wheels")
    with Index(root / "index", folders={"debian": mirror}) as index:
        index.wheel("web", "1.0", ["kernel==3.2.0", "helper"])
        index.wheel("helper", "1.0")
        for version in ("2.3.1", "3.2.0"):
            index.wheel("kernel", version)
        machine = Machine(
            root / "machine",
            {
                "ENVLOCK_MIRROR_DEBIAN": f"{index.base}/debian",
                "ENVLOCK_KEYRING_DEBIAN": str(mirror.parent / "keyring.gpg"),
            },
        )
        machine.use(index)
        machine.write_spec("one", SPEC)
        done = machine.run("solve", "--no-audit")
        assert done.returncode == 0, done.stderr
        yield machine


def _export(machine: Machine, form: str, file: Path) -> str:
    done = machine.run("export", "one", "-f", form, "-o", str(file))
    assert done.returncode == 0, done.stderr
    return file.read_text()


def _run(machine: Machine, *words: str) -> None:
    done = subprocess.run(
        words,
        cwd=machine.project,
        env={**machine.environ, "UV_CACHE_DIR": str(machine.cache / "uv"), "UV_NO_CONFIG": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _installed(folder: Path) -> set[str]:
    return {one.name.removesuffix(".dist-info") for one in folder.glob("*.dist-info")}


ALL = {"web-1.0", "helper-1.0", "kernel-2.3.1"}
PYTHON = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the lock is for Python 3.11, which installs it"
)


def test_a_pylock_is_what_the_pep_says(forced: Machine, tmp_path: Path) -> None:
    text = _export(forced, "pylock", tmp_path / "pylock.toml")
    table = tomllib.loads(text)
    lock = Pylock.from_dict(table)
    assert [(str(one.name), str(one.version)) for one in lock.packages] == [
        ("helper", "1.0"),
        ("kernel", "2.3.1"),
        ("web", "1.0"),
    ]
    web = table["packages"][2]
    assert web["dependencies"] == [{"name": "helper"}, {"name": "kernel"}]
    assert web["wheels"][0]["url"].startswith(
        forced.environ["ENVLOCK_INDEX_PYPI"].split("/simple")[0]
    )
    assert table["tool"]["envlock"] == {"overrides": {"kernel": ["web 1.0: kernel==3.2.0"]}}
    assert _export(forced, "pylock", tmp_path / "pylock.toml") == text


def test_hosts_are_left_out_where_they_can_be(forced: Machine, tmp_path: Path) -> None:
    for form in ("pylock-wheels", "requirements"):
        text = _export(forced, form, tmp_path / "file")
        assert "://" not in text
        assert "kernel==3.2.0" in text
    assert "--no-deps is needed" in text


@PYTHON
def test_uv_installs_the_pylock(forced: Machine, tmp_path: Path) -> None:
    _export(forced, "pylock", tmp_path / "pylock.toml")
    uv = (find_uv_bin(), "pip", "install", "--python", sys.executable)
    _run(forced, *uv, "-r", str(tmp_path / "pylock.toml"), "--target", str(tmp_path / "uv"))
    assert _installed(tmp_path / "uv") == ALL


@PYTHON
def test_pip_takes_the_hashes_and_the_wheels_beside(forced: Machine, tmp_path: Path) -> None:
    pytest.importorskip("pip")
    index = forced.environ["ENVLOCK_INDEX_PYPI"]
    pip = (sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check")
    file = tmp_path / "requirements.txt"
    _export(forced, "requirements", file)
    common = ("--require-hashes", "--no-deps", "-i", index, "-r", str(file))
    _run(forced, *pip, "download", "-q", *common, "-d", str(tmp_path / "wheels"))
    _export(forced, "pylock-wheels", tmp_path / "pylock.toml")
    place = ("--target", str(tmp_path / "pip"))
    _run(forced, *pip, "install", "-q", "--no-deps", "-r", str(tmp_path / "pylock.toml"), *place)
    assert _installed(tmp_path / "pip") == ALL
