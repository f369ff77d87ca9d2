"""What other tools read here: the Action, the hooks, Renovate's manager, the schema's line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from envlock.spec.schema import schema_text

if TYPE_CHECKING:
    from ..makers.machine import Machine

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
EXPRESSION = re.compile(r"\$\{\{\s*inputs\.(\w+)\s*\}\}")
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")  # as GitHub's runner starts it


@pytest.fixture
def runner(machine: Machine) -> Machine:
    """A machine like GitHub's, with an envlock on its PATH and this repository's small project."""
    for folder in ("envs", "locks"):
        shutil.copytree(ROOT / folder, machine.project / folder, dirs_exist_ok=True)
    tools = machine.root / "tools"
    tools.mkdir()
    program = tools / "envlock"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m envlock "$@"\n')
    program.chmod(0o755)
    machine.environ["PATH"] = f"{tools}{os.pathsep}{machine.environ['PATH']}"
    machine.environ["RUNNER_TEMP"] = str(machine.temporary)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        machine.environ[name] = str(machine.temporary / name)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        _git(machine, *words)
    return machine


def _git(machine: Machine, *words: str) -> None:
    settings = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *settings, *words], cwd=machine.project, env=machine.environ, check=True)


def _step(machine: Machine, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run a step of the Action as the runner does, with these inputs."""
    step = STEPS[name]
    values = {key: str(one.get("default", "")) for key, one in ACTION["inputs"].items()} | inputs
    variables = {
        key: EXPRESSION.sub(lambda match: values[match[1]], text)
        for key, text in step.get("env", {}).items()
    }
    return subprocess.run(
        [*BASH, step["run"]],
        cwd=machine.project,
        env={**machine.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def _change(machine: Machine) -> None:
    spec = machine.project / "envs" / "small.yaml"
    spec.write_text(spec.read_text().replace("numpy>=2,<3", "numpy>=2.1,<3"))


def test_no_input_is_pasted_into_a_script() -> None:
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")
    named = set(EXPRESSION.findall(json.dumps(ACTION["runs"])))
    assert named <= set(ACTION["inputs"])


def test_the_action_tells_whether_locks_are_fresh(runner: Machine) -> None:
    assert _step(runner, "Are the locks fresh?").returncode == 0
    _change(runner)
    done = _step(runner, "Are the locks fresh?", project=str(runner.project / "envs"))
    assert done.returncode == 1
    assert "+ pypi.dependencies: numpy<3,>=2.1" in done.stderr


def test_the_action_sums_up_what_changed(runner: Machine) -> None:
    lock = runner.lock("small")
    text = lock.read_text()
    lock.unlink()
    _git(runner, "commit", "-qam", "without")
    lock.write_text(text)
    done = _step(runner, "What changed in the locks", revision="HEAD")
    assert done.returncode == 0, done.stderr
    summary = Path(runner.environ["GITHUB_STEP_SUMMARY"]).read_text()
    assert "61 added" in summary
    output = Path(runner.environ["GITHUB_OUTPUT"]).read_text()
    assert Path(output.removeprefix("file=").strip()).read_text() == summary


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"build": "one two"}, ["one", "two"]),
        ({"build": "all"}, []),
        (
            {"build": "one", "push": "registry.example.com/{name}:v1 x"},
            ["one", "--push", "registry.example.com/{name}:v1 x"],
        ),
    ],
)
def test_the_action_builds_what_is_asked(
    runner: Machine, inputs: dict[str, str], wanted: list[str]
) -> None:
    program = runner.root / "tools" / "envlock"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    done = _step(runner, "Build", **inputs)
    assert done.stdout.splitlines() == ["build", "--project", ".", *wanted]


def test_the_actions_form_is_githubs() -> None:
    check = shutil.which("check-jsonschema", path=Path(sys.executable).parent)
    assert check is not None
    words = [check, "--builtin-schema", "vendor.github-actions", str(ROOT / "action.yml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_pre_commit_runs_the_hook(runner: Machine, tmp_path: Path) -> None:
    """The real pre-commit, with the hooks of this repository in a clone of its own."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    for words in (["init", "-q", str(hooks)], ["-C", str(hooks), "add", "-A"]):
        _git(runner, *words)
    _git(runner, "-C", str(hooks), "commit", "-qm", "x")
    head = (hooks / ".git" / "refs" / "heads").iterdir()
    revision = next(head).read_text().strip()
    config = {
        "repos": [
            {"repo": str(hooks), "rev": revision, "hooks": [{"id": "envlock-check-installed"}]}
        ]
    }
    (runner.project / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    _git(runner, "add", "-A")
    words = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
    environ = {**runner.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")}
    for code in (0, 1):
        done = subprocess.run(
            words, cwd=runner.project, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout
        _change(runner)
        _git(runner, "add", "-A")
    assert "the lock does not answer envs/small.yaml any more" in done.stdout


def test_renovates_manager_finds_the_versions_of_a_spec() -> None:
    text = (ROOT / "docs" / "how-to" / "team.md").read_text()
    block = re.search(r"```json\n(\{.*?customManagers.*?)```", text, re.DOTALL)
    assert block is not None
    (manager,) = json.loads(block[1])["customManagers"]
    (pattern,) = manager["matchStrings"]
    found = [
        (match["depName"], match["currentValue"])
        for name in ("small", "bnb-cu124")
        for match in re.finditer(
            pattern.replace("(?<", "(?P<"), (ROOT / "envs" / f"{name}.yaml").read_text()
        )
    ]
    assert found == [("awscli", "1.27.165"), ("bitsandbytes", "0.45.0")]
    (files,) = manager["managerFilePatterns"]
    assert re.search(files.strip("/"), "envs/small.yaml")


def test_init_names_the_schema_that_lies_beside(machine: Machine) -> None:
    done = machine.run("init", "one")
    assert done.returncode == 0, done.stderr
    line = "# yaml-language-server: $schema=spec.schema.json\n"
    assert not (machine.project / "envs" / "one.yaml").read_text().startswith(line)
    (machine.project / "envs" / "spec.schema.json").write_text(schema_text())
    done = machine.run("init", "two")
    assert done.returncode == 0, done.stderr
    assert (machine.project / "envs" / "two.yaml").read_text().startswith(line)
    assert "two" in machine.run("list").stdout
