"""The whole way with real packages: solve, build, validate, run, and an engine as judge."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..image.making import check_layout, leftovers
from .judges import need

if TYPE_CHECKING:
    from .judges import Podman

pytestmark = [pytest.mark.container, pytest.mark.network]
PROJECT = Path(__file__).resolve().parents[2]
LOCK = PROJECT / "locks" / "small.linux-64.lock.json"
IMPORTS = "import numpy, yaml; print(numpy.__version__, yaml.__version__, numpy.ones(3).sum())"
VERSIONS = {item["name"]: item["version"] for item in json.loads(LOCK.read_text())["artifacts"]}
IMPORTED = f"{VERSIONS['numpy']} {VERSIONS['pyyaml']} 3.0\n"


@dataclass(frozen=True)
class Copy:
    """A copy of this project with a cache of its own."""

    root: Path
    cache: Path

    def __call__(self, *words: str, code: int = 0, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "envlock", *words],
            cwd=self.root,
            env={**os.environ, "ENVLOCK_CACHE_DIR": str(self.cache), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    @property
    def image(self) -> Path:
        return self.root / "build" / "small"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Copy, str]:
    """Build ``small`` from its checked-in lock; return the copy and the manifest's digest."""
    need("bwrap")
    root = tmp_path_factory.mktemp("project")
    for name in ("envs", "locks"):
        (root / name).mkdir()
        for path in (PROJECT / name).glob("small.*"):
            shutil.copy(path, root / name / path.name)
    project = Copy(root, tmp_path_factory.mktemp("cache"))
    project("solve", "--check", "small")
    return project, project("build", "small").strip()


def test_the_image_is_whole_and_the_recorded_one(built: tuple[Copy, str]) -> None:
    project, digest = built
    assert check_layout(project.image) == digest
    recorded = json.loads(LOCK.read_text()).get("built")
    if recorded is not None:
        assert digest == recorded["manifest"]


def test_it_proves_itself(built: tuple[Copy, str]) -> None:
    project, digest = built
    project("validate", "small")
    document = json.loads(project("--json", "validate", "small"))
    assert document["report"]["image"] == digest


def test_commands_run_inside(built: tuple[Copy, str]) -> None:
    project, _ = built
    assert project("run", "small", "--", "python3", "-c", IMPORTS) == IMPORTED
    assert project("run", "small", "--", "aws", "--version").startswith(
        f"aws-cli/{VERSIONS['awscli']} "
    )
    project("run", "small", "--", "python3", "-c", "raise SystemExit(7)", code=7)


def test_building_again_takes_what_is_there(built: tuple[Copy, str]) -> None:
    project, digest = built
    document = json.loads(project("--json", "build", "small", "--offline"))
    assert document["images"][0]["manifest"] == digest
    assert leftovers(project.image.parent) == [".gitignore"]


def test_recording_and_checking(built: tuple[Copy, str], tmp_path: Path) -> None:
    project, digest = built
    other = Copy(tmp_path / "project", project.cache)
    shutil.copytree(project.root, other.root)
    assert other("build", "small", "--record", "--no-validate", "--offline").strip() == digest
    lock = other.root / "locks" / LOCK.name
    assert json.loads(lock.read_text())["built"]["manifest"] == digest
    other("solve", "--check", "small")
    check = ("build", "small", "--check", "--no-validate", "--offline")
    assert other(*check).strip() == digest
    other(*check, code=1, SOURCE_DATE_EPOCH="1")
    assert check_layout(other.image) == digest


def test_another_machine_gets_the_same_digest(built: tuple[Copy, str], tmp_path: Path) -> None:
    """Other umask, folder and locale, with nothing but the artifacts from the first."""
    project, digest = built
    other = Copy(tmp_path / "other place", tmp_path / "cache")
    shutil.copytree(project.root, other.root, ignore=shutil.ignore_patterns("build"))
    shutil.copytree(project.cache / "artifacts", other.cache / "artifacts")
    before = os.umask(0o077)
    try:
        found = other(
            "build", "small", "--no-validate", "--offline", LC_ALL="C", TZ="Asia/Kathmandu"
        )
    finally:
        os.umask(before)
    assert found.strip() == digest


def test_an_engine_runs_it(built: tuple[Copy, str], podman: Podman, tmp_path: Path) -> None:
    project, digest = built
    archive = tmp_path / "small.tar"
    command = ("build", "small", "-o", str(archive), "--no-validate", "--offline")
    assert project(*command).strip() == digest
    name = podman("load", "-i", archive).strip().rpartition(" ")[2]
    assert podman.run_image(name, "python3", "-c", IMPORTS) == IMPORTED
    assert podman.run_image(name, "aws", "--version").startswith(f"aws-cli/{VERSIONS['awscli']} ")
    ssl = "import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 100)"
    assert podman.run_image(name, "python3", "-c", ssl) == "True\n"
    user = "import os, pwd; print(pwd.getpwuid(os.getuid()).pw_name, os.getcwd())"
    assert podman.run_image(name, "python3", "-c", user) == "nonroot /app\n"
