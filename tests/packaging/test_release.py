"""What a release is made of: built as it would be, and installed as people do."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from envlock import __version__

from ..makers.fixtures import index, machine, mirror

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine

__all__ = ["index", "machine", "mirror"]

ROOT = Path(__file__).parents[2]
SPEC = """\
pypi:
  dependencies: [app]
checks:
  - import: app
"""


def tracked(*folders: str) -> set[str]:
    """Return the files of folders that git has, or would have."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and the wheel that is made of it."""
    folder = tmp_path_factory.mktemp("release")
    done = subprocess.run(
        [find_uv_bin(), "build", "--out-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
    return folder


def wheel_of(release: Path) -> Path:
    (wheel,) = release.glob("*.whl")
    return wheel


@pytest.mark.network
def test_the_wheel_has_all_files_and_no_others(release: Path) -> None:
    with zipfile.ZipFile(wheel_of(release)) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert archive.testzip() is None
    assert names == {name.removeprefix("src/") for name in tracked("src/envlock")}


@pytest.mark.network
def test_the_metadata_is_complete(release: Path) -> None:
    with zipfile.ZipFile(wheel_of(release)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = email.message_from_bytes(archive.read(name))
        licence = archive.read(name.replace("METADATA", "licenses/LICENSE"))
    assert (told["Name"], told["Version"]) == ("envlock", __version__)
    assert told["License-Expression"] == "Apache-2.0"
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert told["Requires-Python"] == ">=3.11"
    assert told["Description-Content-Type"] == "text/markdown"


@pytest.mark.network
def test_the_sdist_can_be_tested_and_documented(release: Path) -> None:
    (sdist,) = release.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert (
        tracked("src", "tests", "docs", "scripts", "envs", "locks", "constraints-dev.txt") <= names
    )


@pytest.mark.network
def test_installed_as_a_tool_it_solves_and_builds(
    release: Path, machine: Machine, index: Index, tmp_path: Path
) -> None:
    """With nothing of the working tree in reach; an image of a made-up environment."""
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    subprocess.run(
        [find_uv_bin(), "tool", "install", "-q", str(wheel_of(release))],
        cwd=tmp_path,
        env={**os.environ, **places},
        timeout=500,
        check=True,
    )
    index.wheel("app", "1.0")
    machine.write_spec("web", SPEC)
    environ = {key: value for key, value in machine.environ.items() if key != "PYTHONPATH"}

    def envlock(*words: str) -> str:
        done = subprocess.run(
            [str(tmp_path / "bin" / "envlock"), *words],
            cwd=machine.project,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert envlock("--version").startswith(f"envlock {__version__} ")
    envlock("solve", "web")
    digest = envlock("build", "web", "--no-validate").strip()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    (image,) = json.loads(machine.run("--json", "build", "web", "--no-validate").stdout)["images"]
    assert image["manifest"] == digest, "the working tree makes another image"
    page = json.loads(envlock("report", "web", "--json"))["output"]
    assert "<html" in (machine.project / page).read_text()
    for name in ("diff", "outdated", "report"):
        assert json.loads(envlock("schema", name))["title"]
