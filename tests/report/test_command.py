"""``envlock report``, from the command line to the file on the disk."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from envlock.lock.codec import dump_lock

from ..makers.machine import HEAD
from .pages import DEMO, hostile

if TYPE_CHECKING:
    from ..makers.machine import Machine


@pytest.fixture
def locked(machine: Machine) -> Machine:
    """A project with one locked environment, which was never solved here."""
    _write(machine, dump_lock(DEMO))
    (machine.project / "envs" / "b.yaml").write_text(HEAD.format(name="b"))
    return machine


def _write(machine: Machine, text: str) -> None:
    machine.lock("a").parent.mkdir(exist_ok=True)
    machine.lock("a").write_text(text)


def _report(machine: Machine, *words: str) -> Any:
    done = machine.run("report", "a", *words, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    schema = json.loads(machine.run("schema", "report").stdout)
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


def test_the_page_lies_in_build(locked: Machine) -> None:
    document = _report(locked)
    page = locked.project / "build" / "a.html"
    assert document["output"] == "build/a.html"
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert document["bytes"] == page.stat().st_size
    assert (document["overrides"], document["proof"]) == (["triton"], None)
    again = page.read_bytes()
    assert locked.run("report", "a", "-o", "again.html").returncode == 0
    assert (locked.project / "again.html").read_bytes() == again
    done = locked.run("report", "a", "-o", "locks")
    assert (done.returncode, "a page is written to a file" in done.stderr) == (2, True)


def test_against_a_revision_and_a_lock_file(locked: Machine) -> None:
    settings = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "-A"], [*settings, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=locked.project, check=True, capture_output=True)
    assert _report(locked, "--against", "HEAD")["against"] == "a at HEAD"
    assert "No difference." in (locked.project / "build" / "a.html").read_text()
    _report(locked, "--against", str(locked.lock("a")))
    done = locked.run("report", "a", "--against", "HAED")
    assert done.returncode == 2
    assert "git knows no revision 'HAED'" in done.stderr


def test_what_no_lock_may_hold_is_refused_before_the_page(locked: Machine) -> None:
    _write(locked, dump_lock(hostile()))
    done = locked.run("report", "a")
    assert done.returncode == 1
    assert not (locked.project / "build" / "a.html").exists()
