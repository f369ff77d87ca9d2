"""``python -m envlock.image``: the builder without index, network or third-party package."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from envlock.lock.codec import dump_lock

from .making import SOURCE, Environment, environment_of, make_debs, make_wheels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("artifacts")
    return environment_of(*make_debs(folder), *make_wheels(folder))


@pytest.fixture
def files(environment: Environment, tmp_path: Path) -> list[str]:
    """The arguments that name the lock, the map and the output."""
    lock, mapping = tmp_path / "tiny.lock.json", tmp_path / "map.json"
    lock.write_text(dump_lock(environment.lock))
    mapping.write_text(json.dumps({key: str(path) for key, path in environment.paths.items()}))
    return [str(lock), "--artifact-map", str(mapping), "-o", str(tmp_path / "alone")]


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", "-m", "envlock.image", *words],  # -S: no site-packages
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_image_is_the_command_lines(
    environment: Environment, files: list[str], tmp_path: Path
) -> None:
    built = environment.build(tmp_path / "image", tmp_path / "cache")
    done = _run(*files, "--expect", built.digests.manifest)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == built.digests.manifest
    ours, theirs = (
        {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "image", tmp_path / "alone")
    )
    assert ours == theirs


@pytest.mark.parametrize("created", ["-1", "253402300800", "9" * 5000, "now"])
def test_a_moment_that_no_image_can_have(files: list[str], created: str) -> None:
    done = _run(*files, "--created", created)
    assert done.returncode == 2
    assert "no number of seconds" in done.stderr


def test_another_digest_is_not_published(files: list[str], tmp_path: Path) -> None:
    done = _run(*files, "--expect", "sha256:" + "0" * 64)
    assert done.returncode == 1
    assert "the image is not the expected one" in done.stderr
    assert not (tmp_path / "alone").exists()


def test_an_artifact_that_the_map_lacks_is_named(files: list[str], tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    mapping = json.loads(path.read_text())
    mapping.popitem()
    path.write_text(json.dumps(mapping))
    done = _run(*files)
    assert done.returncode == 1
    assert "1 artifact of the lock is not in the map" in done.stderr


def test_a_changed_artifact_is_refused(
    environment: Environment, files: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "map.json"
    mapping = json.loads(path.read_text())
    wheel = next(a for a in environment.lock.artifacts if a.name == "beta")
    changed = tmp_path / "beta.whl"
    changed.write_bytes(environment.paths[wheel.sha256].read_bytes() + b" ")
    path.write_text(json.dumps({**mapping, wheel.sha256: str(changed)}))
    done = _run(*files)
    assert done.returncode == 3
    assert "beta-2.0-py3-none-any.whl is not the" in done.stderr
    assert not (tmp_path / "alone").exists()


def test_a_map_that_is_none_and_a_tar_are_refused(files: list[str], tmp_path: Path) -> None:
    assert _run(*files[:-1], str(tmp_path / "image.tar")).returncode == 2
    (tmp_path / "map.json").write_text("[]")
    done = _run(*files)
    assert done.returncode == 2
    assert "the artifact map cannot be read" in done.stderr


def test_what_needs_a_sandbox_is_refused(
    environment: Environment, files: list[str], tmp_path: Path
) -> None:
    lock = environment.with_image(precompile=True).lock
    (tmp_path / "tiny.lock.json").write_text(dump_lock(lock))
    done = _run(*files)
    assert done.returncode == 2
    assert "image.precompile" in done.stderr
    assert not (tmp_path / "alone").exists()
