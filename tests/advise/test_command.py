"""``envlock audit --advise`` and what a failed solve says, as people and scripts see it."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ..makers.index import Fault
from .test_ways import OVERRIDE, usual

if TYPE_CHECKING:
    import subprocess

    from ..makers.index import Index
    from ..makers.machine import Machine

CONFLICT = "pypi:\n  dependencies: [frame, app==1.0]\n  constraints: [tool<3]\n"


@pytest.fixture
def one(machine: Machine, index: Index) -> Machine:
    usual(index)
    machine.write_spec("one", OVERRIDE)
    return machine


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_ways_are_listed_best_first_with_what_to_paste(one: Machine) -> None:
    done = one.run("audit", "one", "--advise")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "one linux-64: ways out of the override of tool 2.0"
    assert [line for line in lines if line[:2] in {"1.", "2.", "3."}] == [
        "1. app 1.1: no override needed, breaks nothing found",
        "2. tool 3.1: voids 1 pin, breaks nothing found",
        "3. tool 2.0 (yours): voids 1 pin, breaks 1 call in frame",
    ]
    assert "in place of the override of tool and app==1.0:" in lines
    assert "app needs tool.ops (breaks-import)" in lines
    assert "breaks: frame needs tool.core.key" in lines
    assert "tool 3.3: app needs tool.ops" in lines


def test_json(one: Machine) -> None:
    (environment,) = document(one.run("audit", "one", "--advise", "--json"))["environments"]
    (advice,) = environment["advice"]
    assert (environment["name"], environment["platform"]) == ("one", "linux-64")
    assert advice["problem"]["override"] == "2.0"
    assert advice["problem"]["natural"] == "3.2"
    assert [way["version"] for way in advice["ways"]] == ["1.1", "3.1", "2.0"]
    assert yaml.safe_load(advice["ways"][0]["yaml"]) == {"pypi": {"dependencies": ["app==1.1"]}}
    assert advice["ways"][2]["breaks"][0]["text"] == "frame.speed needs tool.core.key"
    assert {tried["reason"] for tried in advice["tried"]} == {"app needs tool.ops"}
    assert advice["moved"] > 0


def test_a_second_time_nothing_is_fetched_again(one: Machine) -> None:
    first = document(one.run("audit", "one", "--advise", "--json"))
    assert first["environments"][0]["advice"][0]["moved"] > 0
    again = document(one.run("audit", "one", "--advise", "--json"))
    assert again["environments"][0]["advice"][0]["moved"] == 0
    for value in (first, again):
        value["environments"][0]["advice"][0].pop("moved")
    assert first == again


def test_offline(one: Machine) -> None:
    one.run("audit", "one", "--advise")
    done = one.run("audit", "one", "--advise", "--offline")
    assert done.returncode == 0, done.stderr
    assert "not looked at: other versions of app" in done.stdout


def test_a_limit_is_told(one: Machine) -> None:
    done = one.run("audit", "one", "--advise", "--advise-limit", "1")
    assert "not looked at: 2 more versions of app" in done.stdout
    assert one.run("audit", "one", "--advise", "--advise-limit", "0").returncode == 2


def test_nothing_to_advise_on(machine: Machine, index: Index) -> None:
    index.wheel("app", "1.0")
    machine.write_spec("one", "pypi: {dependencies: [app]}\n")
    done = machine.run("audit", "one", "--advise")
    assert done.returncode == 0
    assert "no override, and no import that fails" in done.stdout


def test_files_cannot_be_changed(one: Machine, index: Index) -> None:
    wheel = next((index.folder / "files").glob("app-1.0*"))
    done = one.run("audit", "--advise", "--artifacts", str(wheel))
    assert done.returncode == 2
    assert "--advise needs a spec" in done.stderr


def test_an_index_that_is_down(one: Machine, index: Index) -> None:
    index.faults[".whl"] = Fault(fail=-1, status=404)
    done = one.run("audit", "one", "--advise")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_conflict_ends_with_what_is_known_to_break_less(machine: Machine, index: Index) -> None:
    usual(index)
    for name in ("red", "green", "blue"):
        index.wheel(name, "1.0")
    machine.write_spec("one", CONFLICT.replace("[frame,", "[red, green, blue, frame,"))
    done = machine.run("solve", "one")
    assert done.returncode == 1
    assert 'against: {frame: "tool==3.2"}' in done.stderr
    # nothing was looked into yet, and a failed solve does not begin with that
    assert "envlock audit one --advise searches" in done.stderr
    advised = machine.run("audit", "one", "--advise")
    assert "1. app 1.1: no override needed, breaks nothing found" in advised.stdout
    again = machine.run("solve", "one")
    assert "  tool 3.1: voids 1 pin, breaks nothing found" in again.stderr
    assert not machine.lock("one").exists()


def test_stopped(one: Machine, index: Index) -> None:
    index.faults["frame-2.0-py3-none-any.whl"] = Fault(drip=10)
    running = one.start("audit", "one", "--advise")
    assert index.dripping.wait(60)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in errors
    left = [path for path, _, files in os.walk(one.cache / "audit") if "parts-" in path]
    assert left == []


def test_a_spec_that_cannot_be_read_does_not_keep_the_others_waiting(one: Machine) -> None:
    one.write_spec("broken", "pypi: {dependencys: [app]}\n")
    done = one.run("audit", "--advise", "--json")
    told = document(done)
    assert [found["name"] for found in told["environments"]] == ["one"]
    assert [failed["name"] for failed in told["failed"]] == ["broken"]
    assert (done.returncode, "dependencys" in done.stderr) == (2, True)
