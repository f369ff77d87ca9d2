"""``envlock audit NAME``: what overrides do, what is accepted, what is left."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from .worlds import ACCEPTS, NATURAL, OVERRIDE, offer_world

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine


@pytest.fixture
def locked(machine: Machine, index: Index) -> Machine:
    """A project whose lock has one accepted break."""
    offer_world(index)
    machine.write_spec("one", NATURAL + OVERRIDE + ACCEPTS)
    done = machine.run("solve")
    assert done.returncode == 0, done.stderr
    return machine


def test_what_is_accepted_is_no_failure(locked: Machine) -> None:
    done = locked.run("audit", "one")
    assert done.returncode == 0, done.stderr
    assert "breaks-call: a function that fails when it is called (1, 1 accepted)" in done.stdout
    assert "app.more.f needs lib.new, of lib (accepted)" in done.stdout
    assert "override lib 1.0:" in done.stdout
    assert "instead of 2.0: fixes 1, breaks 1 (1 accepted)" in done.stdout


def test_what_is_open_is_one(locked: Machine) -> None:
    locked.write_spec("one", NATURAL + OVERRIDE)
    done = locked.run("audit", "one", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["error"]["exit_code"] == 1
    (audit,) = document["audits"]
    assert audit["review"]["open"] == ["app.more.f needs lib.new"]
    assert "the override of lib breaks 1 thing that nobody has accepted" in done.stderr
    assert "has changed since it was locked" in done.stderr


def test_offline_says_what_it_lacks(locked: Machine, index: Index) -> None:
    for folder in ("natural", "reviewed"):
        shutil.rmtree(locked.cache / "audit" / folder)
    shutil.rmtree(locked.cache / "uv")
    index.asked.clear()
    done = locked.run("audit", "one", "--offline")
    assert done.returncode == 0, done.stderr
    assert "not judged: " in done.stdout
    assert not index.asked
    shutil.rmtree(locked.cache / "audit")
    shutil.rmtree(locked.cache / "artifacts")
    done = locked.run("audit", "one", "--offline")
    assert done.returncode == 3
    assert "the code of some packages is needed" in done.stderr
