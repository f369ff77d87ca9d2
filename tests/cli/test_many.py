"""``solve --all`` and ``build --all``: many environments, of which some fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer

from envlock.cli.many import Outcome
from envlock.errors import EnvlockError, FetchError, UnsatisfiableError, UsageError

from ..makers.index import Fault

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine


@pytest.fixture
def several(machine: Machine, index: Index) -> Machine:
    """Environments a, b and c that share a wheel; b wants what nobody has."""
    index.wheel("shared", "1.0", files={"shared/data.py": b"a = 1\n" * 5000})
    for name in ("a", "c"):
        index.wheel(f"only-{name}", "1.0")
        machine.write_spec(name, f"pypi:\n  dependencies: [shared, only-{name}]\n")
    machine.write_spec("b", "pypi:\n  dependencies: [shared>2]\n")
    return machine


def test_one_that_fails_does_not_stop_the_others(several: Machine) -> None:
    done = several.run("solve", "--all", "--no-audit", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert [one["name"] for one in document["environments"]] == ["a", "c"], done.stderr
    assert done.stderr.count("and none of debian-security") == 1  # it is the machine's matter
    (failed,) = document["failed"]
    assert failed["name"] == "b"
    assert failed["error"]["exit_code"] == 1
    assert "2 locks, 1 failed" in done.stderr
    assert several.lock("c").is_file()

    wheel = next(a for a in json.loads(several.lock("a").read_text())["artifacts"]
                 if a["name"] == "only-a")  # fmt: skip
    text = several.lock("a").read_text().replace(wheel["sha256"], "0" * 64)
    several.lock("a").write_text(text)
    (several.project / "envs" / "b.yaml").unlink()
    done = several.run("build", "--all", "--no-validate", "--json")
    assert done.returncode == 1, done.stderr
    assert "changed by hand" in done.stderr
    document = json.loads(done.stdout)
    assert [one["name"] for one in document["images"]] == ["c"]
    assert [one["name"] for one in document["failed"]] == ["a"]
    assert "1 image, " in done.stderr
    assert "1 failed" in done.stderr
    assert (several.project / "build" / "c" / "index.json").is_file()
    assert not (several.project / "build" / "a").exists()


def test_a_download_that_fails_does_not_stop_those_of_the_others(
    several: Machine, index: Index
) -> None:
    assert several.run("solve", "a", "c", "--no-audit").returncode == 0
    index.faults["only_a-1.0-py3-none-any.whl"] = Fault(content=b"other")
    fresh = {"ENVLOCK_CACHE_DIR": str(several.root / "fresh")}
    done = several.run("build", "a", "c", "--no-validate", "--json", environ=fresh)
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert [one["name"] for one in document["failed"]] == ["a"], done.stderr
    assert [one["name"] for one in document["images"]] == ["c"]


def test_a_broken_spec_does_not_keep_the_others_from_being_looked_at(several: Machine) -> None:
    assert several.run("solve", "a", "c", "--no-audit").returncode == 0
    several.write_spec("b", "pypi: {dependecies: [shared]}\n")
    (several.project / "envs" / "d d.yaml").touch()
    several.write_spec("c", "pypi:\n  dependencies: [only-c]\n")

    done = several.run("solve", "--check", "--json")
    assert done.returncode == 2  # a wrong spec is graver than a stale lock
    document = json.loads(done.stdout)
    states = [(one["name"], one["fresh"]) for one in document["environments"]]
    assert states == [("a", True), ("c", False)]
    assert document["environments"][1]["error"]["kind"] == "StaleLockError"
    assert [one["name"] for one in document["failed"]] == ["b", "d d"]
    for said in ("a linux-64: fresh", "'dependecies'", "envs/c.yaml any more", "rename the file"):
        assert said in done.stderr
    assert several.run("solve", "--check", "a", "c").returncode == 1

    done = several.run("list", "--json")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    states = [(one["name"], one["state"]) for one in document["environments"]]
    assert states == [("a", "locked"), ("c", "stale")]
    assert [one["name"] for one in document["failed"]] == ["b", "d d"]

    done = several.run("audit", "--json")
    assert done.returncode == 2, done.stderr
    document = json.loads(done.stdout)
    assert [one["name"] for one in document["audits"]] == ["a", "c"]
    assert [one["name"] for one in document["failed"]] == ["b", "d d"]

    done = several.run("outdated", "--json")
    assert done.returncode == 2, done.stderr
    assert [one["name"] for one in json.loads(done.stdout)["failed"]] == ["b", "d d"]


def test_all_and_names(several: Machine) -> None:
    for command in ("solve", "build", "outdated"):
        done = several.run(command, "a", "--all")
        assert done.returncode == 2
        assert "--all" in done.stderr


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([FetchError("x")], 3),
        ([FetchError("x"), UnsatisfiableError("x")], 1),
        ([UnsatisfiableError("x"), UsageError("x"), FetchError("x")], 2),
    ],
)
def test_the_gravest_code_wins(errors: list[EnvlockError], code: int) -> None:
    numbered = {str(number): error for number, error in enumerate(errors)}
    outcome: Outcome[None] = Outcome(errors=numbered)
    with pytest.raises(typer.Exit) as raised:
        outcome.leave()
    assert raised.value.exit_code == code
    Outcome[None]().leave()
