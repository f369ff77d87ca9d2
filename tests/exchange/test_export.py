"""``envlock export`` on a solved environment; the tools that own the formats judge the files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from envlock.lock.codec import load_lock

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Lock

    from ..makers.machine import Machine


@pytest.fixture
def lock(solved: Machine) -> Lock:
    return load_lock(solved.lock("one"))


def _export(solved: Machine, *arguments: str) -> str:
    done = solved.run("export", "one", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _render(solved: Machine, folder: Path, *arguments: str, **environ: str) -> str:
    """Let conda-lock's own command make a list of one platform."""
    subprocess.run(
        [sys.executable, "-m", "conda_lock", "render", *arguments, "-p", "linux-64", "c.yml"],
        cwd=folder,
        env={**solved.environ, **environ},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return (folder / "conda-linux-64.lock").read_text()


def test_conda_lock_reads_the_file(solved: Machine, lock: Lock, tmp_path: Path) -> None:
    _export(solved, "-f", "conda-lock", "-o", str(tmp_path / "c.yml"))
    lines = _render(solved, tmp_path, "-k", "explicit").splitlines()
    assert f"# input_hash: {lock.input.removeprefix('sha256:')}" in lines
    base = solved.environ["ENVLOCK_CHANNELS"]
    urls = [line for line in lines if line.startswith("http")]
    assert sorted(urls) == sorted(
        f"{base}/main/{one.path}#{one.conda.md5}" for one in lock.of_kind("conda") if one.conda
    )
    assert "/python-" in urls[0]
    (wheel,) = lock.of_kind("pypi")
    (pip,) = [line for line in lines if line.startswith("# pip")]
    assert re.fullmatch(rf"# pip app @ http\S+/{wheel.file}#sha256={wheel.sha256}", pip)


def test_conda_lock_writes_back_what_it_read(solved: Machine, tmp_path: Path) -> None:
    from conda_lock.lockfile import parse_conda_lock_file, write_conda_lock_file

    text = _export(solved, "-f", "conda-lock")
    assert _export(solved, "-f", "conda-lock") == text
    (tmp_path / "a.yml").write_text(text)
    content = parse_conda_lock_file(tmp_path / "a.yml")
    write_conda_lock_file(content, tmp_path / "b.yml", None, include_help_text=False)
    assert yaml.safe_load((tmp_path / "b.yml").read_text()) == yaml.safe_load(text)
    body = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    assert (tmp_path / "b.yml").read_text() == body


def test_all_platforms_are_in_one_file(solved: Machine) -> None:
    value = yaml.safe_load(_export(solved, "-f", "conda-lock"))
    assert value["metadata"]["platforms"] == ["linux-64", "linux-aarch64"]
    keys = [(one["manager"], one["name"], one["platform"]) for one in value["package"]]
    assert keys == sorted(keys)
    assert ("conda", "numpy", "linux-aarch64") in keys
    numpy = value["package"][keys.index(("conda", "numpy", "linux-64"))]
    assert numpy["dependencies"] == {"__glibc": ">=2.17", "python": ">=3.12,<3.13.0a0"}
    one = yaml.safe_load(_export(solved, "-f", "conda-lock", "--platform", "linux-aarch64"))
    assert one["metadata"]["platforms"] == ["linux-aarch64"]


def test_variables_stand_for_channels(solved: Machine, tmp_path: Path) -> None:
    done = solved.run("export", "one", "-f", "conda-lock", "--variables", "-o", f"{tmp_path}/c.yml")
    assert "set ENVLOCK_CHANNEL_MAIN where the file is used" in done.stderr
    text = (tmp_path / "c.yml").read_text()
    assert "${ENVLOCK_CHANNEL_MAIN}/noarch/pandas-2.2.0-pyh_0.tar.bz2" in text
    assert solved.environ["ENVLOCK_CHANNELS"] not in text
    shown = _render(
        solved, tmp_path, "-k", "explicit", ENVLOCK_CHANNEL_MAIN="https://c.example.com/m"
    )
    assert "https://c.example.com/m/noarch/pandas-2.2.0-pyh_0.tar.bz2#" in shown


@pytest.mark.parametrize(("form", "length"), [("explicit", 64), ("explicit-md5", 32)])
def test_rattler_reads_the_explicit_list(solved: Machine, form: str, length: int) -> None:
    from rattler.explicit_environment import ExplicitEnvironmentSpec

    text = _export(solved, "-f", form)
    spec = ExplicitEnvironmentSpec.from_str(text)
    assert str(spec.platform) == "linux-64"
    urls = [entry.url for entry in spec.packages]
    assert [url.rpartition("/")[2].partition("-")[0] for url in urls] == [
        "python",
        "numpy",
        "pandas",
    ]
    assert all(re.fullmatch(rf"[0-9a-f]{{{length}}}", url.partition("#")[2]) for url in urls)


def test_rattler_reads_the_pixi_lock(solved: Machine, lock: Lock, tmp_path: Path) -> None:
    from rattler import LockFile

    text = _export(solved, "-f", "pixi")
    assert _export(solved, "-f", "pixi") == text
    (tmp_path / "pixi.lock").write_text(text)
    file = LockFile.from_path(tmp_path / "pixi.lock")
    environment = file.environment("default")
    assert environment is not None
    platforms = {platform.name: platform for platform in environment.platforms()}
    assert sorted(platforms) == ["linux-64", "linux-aarch64"]
    found = {}
    for package in environment.packages(platforms["linux-64"]) or ():
        assert package.hashes is not None
        assert package.hashes.sha256 is not None
        found[package.name] = package.hashes.sha256.hex()
    assert found == {one.name: one.sha256 for one in lock.artifacts}
    records = environment.conda_repodata_records()["linux-64"]
    assert {r.name.normalized: list(r.depends) for r in records} == {
        one.name: list(one.depends) for one in lock.of_kind("conda")
    }


def test_json(solved: Machine) -> None:
    value = json.loads(_export(solved, "-f", "explicit", "--json"))
    assert value["platforms"] == ["linux-64"]
    assert value["text"] == _export(solved, "-f", "explicit")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "condalock"], "did you mean conda-lock?"),
        (["-f", "explicit", "--variables"], "readers of the format explicit do not look into"),
        (["-f", "pixi", "--platform", "osx-64"], "one is not locked for osx-64"),
    ],
)
def test_wrong_usage(solved: Machine, arguments: list[str], said: str) -> None:
    done = solved.run("export", "one", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_an_index_that_has_lost_the_wheel(solved: Machine) -> None:
    done = solved.run(
        "export", "one", "-f", "explicit", ENVLOCK_INDEX_PYPI="http://127.0.0.1:9/simple/"
    )
    assert done.returncode == 3
    assert "cannot be read" in done.stderr


def test_no_login_gets_into_the_file(solved: Machine) -> None:
    index = solved.environ["ENVLOCK_INDEX_PYPI"].replace("://", "://me:s3cret@")
    done = solved.run("export", "one", "-f", "conda-lock", ENVLOCK_INDEX_PYPI=index)
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert "app-1.0-py3-none-any.whl" in done.stdout
