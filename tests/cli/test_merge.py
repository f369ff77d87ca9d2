"""Locks of two branches, merged by git with envlock as its driver."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ..makers.index import Index
from ..makers.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = """\
pypi:
  dependencies:
    - alpha

    - middle

    - omega
"""


def _git(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    settings = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *settings, *words],
        cwd=machine.project,
        env=machine.environ,
        capture_output=True,
        text=True,
        check=False,
    )


def _commit(machine: Machine) -> None:
    assert _git(machine, "add", "-A").returncode == 0
    done = _git(machine, "commit", "-qm", "x")
    assert done.returncode == 0, done.stdout


def _solve(machine: Machine, *words: str) -> None:
    done = machine.run("solve", "demo", "--no-audit", *words)
    assert done.returncode == 0, done.stderr


def _versions(machine: Machine) -> dict[str, str]:
    lock = json.loads(machine.lock("demo").read_text())
    return {one["name"]: one["version"] for one in lock["artifacts"] if one["kind"] == "pypi"}


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Machine]:
    """A repository with a lock, and a branch that was solved to another one; no test changes it."""
    root = tmp_path_factory.mktemp("merge")
    with Index(root / "index", folders={"debian": mirror}) as index:
        machine = Machine(
            root / "machine",
            {
                "ENVLOCK_MIRROR_DEBIAN": f"{index.base}/debian",
                "ENVLOCK_KEYRING_DEBIAN": str(mirror.parent / "keyring.gpg"),
            },
        )
        machine.use(index)
        for name in ("alpha", "middle", "omega"):
            index.wheel(name, "1.0")
        machine.write_spec("demo", SPEC)
        (machine.project / ".gitattributes").write_text("locks/*.lock.json merge=envlock\n")
        _git(machine, "init", "-q", "-b", "main")
        driver = f"{shlex.join(machine.command('merge-driver'))} %O %A %B %P"
        _git(machine, "config", "merge.envlock.driver", driver)
        _solve(machine)
        _commit(machine)
        for name, version in (("alpha", "2.0"), ("alpha", "3.0"), ("omega", "2.0")):
            index.wheel(name, version)
        _git(machine, "checkout", "-qb", "side")
        machine.write_spec("demo", SPEC.replace("alpha", "alpha==2.0"))
        _solve(machine)
        _commit(machine)
        _git(machine, "checkout", "-q", "main")
        yield machine


@pytest.fixture
def project(branches: Machine, tmp_path: Path) -> Machine:
    """The same repository for one test."""
    copy = Machine(tmp_path / "machine")
    shutil.copytree(branches.project, copy.project, dirs_exist_ok=True)
    copy.environ = {**branches.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    return copy


def test_two_branches_that_moved_two_packages(project: Machine) -> None:
    project.write_spec("demo", SPEC.replace("omega", "omega>=2"))
    _solve(project)
    _commit(project)
    done = _git(project, "merge", "--no-edit", "side")
    assert done.returncode == 0, done.stdout
    assert "joined; envlock solve demo" in done.stderr
    assert _versions(project) == {"alpha": "2.0", "middle": "1.0", "omega": "2.0"}
    check = project.run("solve", "--check")
    assert check.returncode == 1
    assert "a merge joined the lock" in check.stderr


def test_a_branch_that_only_moved_its_checks_costs_no_solve(project: Machine) -> None:
    project.write_spec("demo", SPEC + "checks:\n  - import: omega\n")
    _solve(project)
    _commit(project)
    done = _git(project, "merge", "--no-edit", "side")
    assert done.returncode == 0, done.stdout
    check = project.run("solve", "--check")
    assert (check.returncode, check.stderr) == (0, "demo linux-64: fresh (not audited)\n")


def test_the_same_package_moved_twice_is_a_conflict_that_a_solve_ends(project: Machine) -> None:
    project.write_spec("demo", SPEC.replace("omega", "omega>=2"))
    _solve(project, "-P", "alpha")
    _commit(project)
    done = _git(project, "merge", "--no-edit", "side")
    assert done.returncode == 1  # git's own merge of the spec has none
    assert "alpha: 3.0 in ours, 2.0 in theirs" in done.stderr
    assert "hint: merge envs/demo.yaml, run envlock solve demo, then git add" in done.stderr
    assert project.run("solve", "--check").returncode == 1
    _solve(project)
    assert _versions(project) == {"alpha": "2.0", "middle": "1.0", "omega": "2.0"}
    assert project.run("solve", "--check").returncode == 0
    _commit(project)


def test_what_is_no_lock_gets_the_markers_of_a_text_merge(project: Machine) -> None:
    lock = project.lock("demo")
    lock.write_text(lock.read_text().replace('"alpha",\n', '"alpha<9",\n'))
    _commit(project)
    done = _git(project, "merge", "--no-edit", "side")
    assert done.returncode == 1
    assert "locks/demo.linux-64.lock.json: the lock was changed by hand" in done.stderr
    text = lock.read_text()
    assert '<<<<<<< ours\n    "alpha<9",\n=======\n    "alpha==2.0",\n>>>>>>> theirs\n' in text
