"""``envlock init``, and the solve of what it writes."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envlock.intake.render import scalar
from envlock.lock.codec import load_lock

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.machine import Machine

ENVIRONMENT = """\
name: Two
channels: [main]
dependencies:
  - python=3.12
  - pandas
  - pip: [app]
prefix: /opt/somewhere
"""


def test_a_spec_that_solves(solved: Machine, tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(ENVIRONMENT)
    done = solved.run("init", "--from", "environment.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "  environment.yml:7:1: prefix: an environment's folder is /opt/env\n"
        "two: written to envs/two.yaml; next: envlock solve two\n"
    )
    spec = tmp_path / "envs" / "two.yaml"
    spec.write_text(re.sub(r"(?s)debian:.*?\n\n", "", spec.read_text()))  # no mirror here
    done = solved.run("solve", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lock = load_lock(tmp_path / "locks" / "two.linux-64.lock.json")
    assert [one.name for one in lock.artifacts] == ["numpy", "pandas", "python", "app"]


def test_an_exported_lock_comes_back_the_same(solved: Machine, tmp_path: Path) -> None:
    file = tmp_path / "conda-lock.yml"
    done = solved.run("export", "one", "-f", "conda-lock", "-o", str(file))
    assert done.returncode == 0, done.stderr
    done = solved.run("init", "again", "--from", "conda-lock.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    spec = tmp_path / "envs" / "again.yaml"
    spec.write_text(re.sub(r"(?s)debian:.*?\n\n", "", spec.read_text()))
    done = solved.run("solve", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for platform in ("linux-64", "linux-aarch64"):
        old = load_lock(solved.project / "locks" / f"one.{platform}.lock.json")
        new = load_lock(tmp_path / "locks" / f"again.{platform}.lock.json")
        assert {one.sha256 for one in new.artifacts} == {one.sha256 for one in old.artifacts}


def test_a_spec_is_not_replaced_without_being_asked(machine: Machine) -> None:
    spec = machine.write_spec("two")
    before = spec.read_text()
    done = machine.run("init", "two")
    assert done.returncode == 2
    assert "envs/two.yaml is there already" in done.stderr
    assert spec.read_text() == before
    assert machine.run("init", "two", "--force").returncode == 0
    assert "Begun by envlock init" in spec.read_text()


def test_an_empty_folder_becomes_a_project(machine: Machine) -> None:
    shutil.rmtree(machine.project / "envs")
    done = machine.run("init", "--json", "--python", "3.13")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert (value["name"], value["spec"]) == ("project", "envs/project.yaml")
    text = (machine.project / "envs" / "project.yaml").read_text()
    assert "suite: trixie" in text
    assert 'linux-64: {glibc: "2.41"}' in text


def test_several_files_are_joined(machine: Machine) -> None:
    (machine.project / "requirements.txt").write_text("flask\nnumpy\n")
    (machine.project / "constraints.txt").write_text("numpy<2\n")
    done = machine.run("init", "two", "--from", "requirements.txt", "constraints.txt")
    assert done.returncode == 0, done.stderr
    value = yaml.safe_load((machine.project / "envs" / "two.yaml").read_text())
    assert value["pypi"] == {"dependencies": ["flask", "numpy"], "constraints": ["numpy<2"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "b"], "more than one name: a and b"),
        (["A b"], "'A b' cannot be the name of an environment"),
        (["a", "--platform", "osx-64"], "there is no platform 'osx-64'"),
        (["a", "--python", "3"], "'3' is no Python version"),
        (["a", "--from", "lost.yml"], "lost.yml: the file cannot be read: No such file"),
        (["a", "--from", "a.lock"], "a.lock: this kind of file is not known"),
        (["a", "--from", "pixi.lock"], "pixi.lock is not read"),
    ],
)
def test_wrong_usage(machine: Machine, arguments: list[str], said: str) -> None:
    for name in ("a.lock", "pixi.lock"):
        (machine.project / name).write_text("version: 6\n")
    done = machine.run("init", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not list((machine.project / "envs").iterdir())


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30))
def test_a_scalar_is_read_back(text: str) -> None:
    assert yaml.safe_load(f"- {scalar(text)}") == [text]


@given(st.from_regex(r"[a-z0-9][a-z0-9 .:#,\[\]{}<>=!&*|'\"%@-]{0,20}", fullmatch=True))
def test_a_match_spec_is_read_back(text: str) -> None:
    assert yaml.safe_load(f"a:\n  - {scalar(text)}\n") == {"a": [text]}


def test_a_file_that_is_meant(tmp_path: Path, machine: Machine) -> None:
    (tmp_path / "requirements.txt").write_text("six\n")
    done = machine.run("init", "a", "--from", "requirement.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert "hint: did you mean requirements.txt?" in done.stderr


def test_without_a_file_it_says_what_is_to_be_written(machine: Machine) -> None:
    done = machine.run("init", "web")
    assert done.stderr.endswith(
        "web: written to envs/web.yaml; next: write what you need under dependencies, then "
        "envlock solve web\n"
    )
    spec = machine.project / "envs" / "web.yaml"
    assert "dependencies: []               # what you need:" in spec.read_text()
    spec.write_text(re.sub(r"packages: \[.*", "packages: [python3.11-minimal]", spec.read_text()))
    done = machine.run("solve", "web")
    assert "0 wheels" in done.stderr
    assert done.stderr.endswith("check it in; next: envlock build web\n")
    assert "next" not in machine.run("solve", "web").stderr
