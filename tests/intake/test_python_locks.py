"""``init --from`` uv.lock, pylock.toml and virtual environments, each made by its own tool."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from uv import find_uv_bin

from envlock.errors import EnvlockError

from .drafting import asked, draft, notes, spec_of

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

PROJECT = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.11"
dependencies = ["web[fast]>=1"]
[dependency-groups]
dev = ["linter"]
[tool.uv]
override-dependencies = ["kernel==2.3.1"]
"""


def _uv(machine: Machine, index: Index, *arguments: str) -> None:
    subprocess.run(
        [find_uv_bin(), *arguments, "--no-config"],
        cwd=machine.project,
        env={
            **machine.environ,
            "UV_DEFAULT_INDEX": index.url,
            "UV_CACHE_DIR": str(machine.cache / "uv"),
        },
        check=True,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture
def stocked(index: Index) -> Index:
    """An index where web pins the kernel that an override of uv takes away."""
    index.wheel("web", "1.0", ["kernel==3.2.0", 'turbo; extra == "fast"'], extras=["fast"])
    index.wheel("web", "0.9")
    for version in ("2.3.1", "3.2.0"):
        index.wheel("kernel", version, ["helper"])
    for name in ("helper", "turbo", "linter"):
        index.wheel(name, "1.0")
    return index


@pytest.fixture
def locked(machine: Machine, stocked: Index) -> Machine:
    (machine.project / "pyproject.toml").write_text(PROJECT)
    _uv(machine, stocked, "lock", "--python", sys.executable)
    return machine


def test_uv_lock_keeps_its_pins_and_overrides(locked: Machine) -> None:
    done = locked.run("init", "--from", "uv.lock")
    assert done.returncode == 0, done.stderr
    assert "extras and groups: dev; --extra and --group take one over" in done.stderr
    assert "shop itself is not installed" in done.stderr
    value = yaml.safe_load((locked.project / "envs" / "shop.yaml").read_text())
    assert value["pypi"] == {
        "dependencies": ["web[fast]==1.0"],
        "constraints": ["helper==1.0", "linter==1.0", "turbo==1.0"],
    }
    (override,) = value["overrides"]
    assert override["version"] == "==2.3.1"
    assert override["against"] == {"web": "kernel==3.2.0"}
    assert value["python"] == "3.11"
    done = locked.run("init", "two", "--from", "uv.lock", "--group", "dev")
    value = yaml.safe_load((locked.project / "envs" / "two.yaml").read_text())
    assert value["pypi"]["dependencies"] == ["linter==1.0", "web[fast]==1.0"]


def test_a_pylock_of_uv(locked: Machine, stocked: Index) -> None:
    _uv(locked, stocked, "export", "-q", "-o", "pylock.toml", "--no-emit-project")
    done = locked.run("init", "shop", "--from", "pylock.toml")
    assert done.returncode == 0, done.stderr
    value = yaml.safe_load((locked.project / "envs" / "shop.yaml").read_text())
    pins = ["helper==1.0", "kernel==2.3.1", "linter==1.0", "turbo==1.0", "web==1.0"]
    assert value["pypi"] == {"dependencies": pins}


PYLOCK = """\
lock-version = "1.0"
created-by = "hand"
requires-python = ">=3.11"
[[packages]]
name = "app"
version = "1.0"
dependencies = [{name = "lib"}]
wheels = [{name = "app-1.0-py3-none-any.whl", path = "app.whl", hashes = {sha256 = "00"}}]
[[packages]]
name = "lib"
version = "2.0"
wheels = [{name = "lib-2.0-py3-none-any.whl", path = "lib.whl", hashes = {sha256 = "00"}}]
[[packages]]
name = "pywin"
version = "1.0"
marker = "sys_platform == 'win32'"
wheels = [{name = "pywin-1.0-py3-none-any.whl", path = "pywin.whl", hashes = {sha256 = "00"}}]
[[packages]]
name = "own"
directory = {path = "."}
[[packages]]
name = "old"
version = "1.0"
sdist = {name = "old-1.0.tar.gz", path = "old.tar.gz", hashes = {sha256 = "00"}}
"""


def test_a_pylock_by_hand(tmp_path: Path) -> None:
    found = draft(tmp_path, "pylock.web.toml", PYLOCK)
    spec = spec_of(found)
    assert asked(spec)[1] == ["app==1.0", "old==1.0"]
    assert [str(one.requirement) for one in spec.pypi.constraints] == ["lib==2.0"]
    assert notes(found)[:2] == [
        "pylock.web.toml:19:1: own comes from ., and not from an index",
        "pylock.web.toml:22:1: old has no wheel there, and nothing is built from source",
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pylock.toml", "lock-version = '9.0'\n", "not what PEP 751 describes"),
        ("pylock.toml", "x = \n", "this is not valid TOML"),
        ("uv.lock", "version = 2\n", "no lock file of uv in version 1"),
        ("uv.lock", "version = 1\n[[package]]\nname = 'a'\n", "there is no project in the file"),
        (
            "uv.lock",
            "version = 1\n[[package]]\nname = 'a'\nsource = {virtual = '.'}\ndependencies = [1]\n",
            "uv does not write this",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(EnvlockError, match=re.escape(said)) as caught:
        draft(tmp_path, name, text)
    assert caught.value.exit_code == 2


def test_a_fork_is_no_pin(tmp_path: Path) -> None:
    found = draft(
        tmp_path,
        "uv.lock",
        """\
version = 1
requires-python = ">=3.11"
[manifest]
overrides = [{ name = "x", specifier = ">=2" }]
constraints = [{ name = "y", specifier = "<3" }]
[[package]]
name = "app"
version = "1"
source = { editable = "." }
dependencies = [{ name = "a" }, { name = "t" }, { name = "g" }]
[[package]]
name = "a"
version = "1.0"
source = { registry = "https://one.example.com/simple" }
[[package]]
name = "a"
version = "2.0"
source = { registry = "https://one.example.com/simple" }
[[package]]
name = "b"
version = "1.0"
source = { registry = "https://one.example.com/simple" }
resolution-markers = ["sys_platform == 'win32'"]
[[package]]
name = "t"
version = "2.6.0+cu124"
source = { registry = "https://torch.example.com/whl/cu124" }
[[package]]
name = "g"
version = "1.0"
source = { git = "https://git.example.com/g?rev=1" }
""",
    )
    spec = spec_of(found)
    assert asked(spec)[1] == ["a", "t==2.6.0+cu124"]
    (index,) = spec.indexes
    assert (index.name, index.packages) == ("example-cu124", ("t",))
    told = [note.split(": ", 1)[1] for note in notes(found)]
    assert told[:4] == [
        "uv's override x>=2 is no exact version: an override is one",
        "uv's constraint y<3 is left out: the pins say more",
        "a has several versions there (1.0, 2.0): none is taken for a pin",
        "g comes from https://git.example.com/g?rev=1, and not from an index",
    ]


def test_a_virtual_environment(machine: Machine, stocked: Index, tmp_path: Path) -> None:
    _uv(machine, stocked, "venv", "old", "--python", sys.executable)
    _uv(machine, stocked, "pip", "install", "web[fast]", "linter", "-p", "old")
    _uv(machine, stocked, "pip", "install", "kernel==2.3.1", "-p", "old")
    _uv(machine, stocked, "pip", "uninstall", "helper", "-p", "old")
    own = next((tmp_path / "index" / "files").glob("turbo*.whl"))
    _uv(machine, stocked, "pip", "install", "--reinstall", str(own), "-p", "old")
    done = machine.run("init", "new", "--from", "old")
    assert done.returncode == 0, done.stderr
    assert "kernel: it requires helper, which is not there" in done.stderr
    assert "turbo came from file://" in done.stderr
    value = yaml.safe_load((machine.project / "envs" / "new.yaml").read_text())
    assert value["pypi"] == {"dependencies": ["linter==1.0", "web==1.0"]}
    assert value["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    (override,) = value["overrides"]
    assert override["against"] == {"web": "kernel==3.2.0"}
    assert override["because"] == "old/kernel-2.3.1.dist-info forces it"


def test_folders_that_are_none(machine: Machine) -> None:
    site = machine.project / "bad" / "lib" / "python3.11" / "site-packages"
    (site / "x-1.dist-info").mkdir(parents=True)
    done = machine.run("init", "new", "--from", "bad")
    assert done.returncode == 2
    assert "bad/x-1.dist-info: its METADATA cannot be read" in done.stderr
    done = machine.run("init", "new", "--from", "envs")
    assert done.returncode == 2
    assert "this is no virtual environment" in done.stderr
