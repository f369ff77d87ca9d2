"""``envlock audit --vulnerabilities`` on a locked environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..makers.fixtures import index, machine, mirror
from .making import osv

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

__all__ = ["index", "machine", "mirror"]

PYPI = "pypi: {dependencies: [app]}\n"


def _locked(machine: Machine, index: Index) -> Path:
    index.wheel("app", "1.0")
    machine.write_spec("web", PYPI)
    assert machine.run("solve", "web").returncode == 0
    file = machine.root / "osv.json"
    advisory = osv(
        "GHSA-1",
        "app",
        ("introduced", "0"),
        ("fixed", "1.1"),
        aliases=["CVE-2026-1"],
        database_specific={"severity": "HIGH"},
    )
    file.write_text(json.dumps({**advisory, "summary": "a\x1b[31m\nb"}))
    return file


def test_the_whole_way(machine: Machine, index: Index) -> None:
    file = _locked(machine, index)
    before = machine.lock("web").read_bytes()
    found = machine.run("audit", "web", "--vulnerabilities", str(file))
    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        "web linux-64: 1 known vulnerability, 0 accepted, by 1 advisory",
        "  app 1.0: CVE-2026-1, GHSA-1, high",
        "      a[31m b",
        "      fixed in 1.1",
    ]
    assert "- id: CVE-2026-1" in found.stderr
    accepts = "vulnerabilities:\n  accepts:\n    - {id: CVE-2026-1, because: not called%s}\n"
    machine.write_spec("web", PYPI + accepts % ", until: 2999-01-01")
    done = machine.run("audit", "web", "--vulnerabilities", str(file), "--json")
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)["environments"]
    (one,) = document["vulnerabilities"]
    assert one["accepted"] == {
        "id": "CVE-2026-1",
        "because": "not called",
        "until": "2999-01-01",
    }
    machine.write_spec("web", PYPI + accepts % ", until: 2020-01-01")
    late = machine.run("audit", "web", "--vulnerabilities", str(file))
    assert late.returncode == 1
    assert "was accepted until 2020-01-01: not called" in late.stdout
    # what is accepted of advisories is nothing that a solve is asked for
    assert machine.run("solve", "web", "--check").returncode == 0
    assert machine.lock("web").read_bytes() == before


def test_bad_entries_and_files(machine: Machine, index: Index) -> None:
    file = _locked(machine, index)
    gone = machine.run("audit", "web", "--vulnerabilities", str(file.with_name("no.json")))
    assert (gone.returncode, "there is no such file" in gone.stderr) == (2, True)
    both = machine.run("audit", "web", "--vulnerabilities", str(file), "--advise")
    assert both.returncode == 2
    accepts = "vulnerabilities:\n  accepts:\n    - {id: CVE-1, because: x, until: 2026-02-30}\n"
    machine.write_spec("web", PYPI + accepts)
    day = machine.run("audit", "web", "--vulnerabilities", str(file))
    assert day.returncode == 2
    assert "2026-02-30 is no day" in day.stderr
    machine.write_spec("web", PYPI + accepts.replace("because: x, ", "").replace("-30", "-20"))
    why = machine.run("audit", "web", "--vulnerabilities", str(file))
    assert why.returncode == 2
    assert "because" in why.stderr


def test_one_that_cannot_be_read_does_not_keep_the_others_waiting(
    machine: Machine, index: Index
) -> None:
    file = _locked(machine, index)
    machine.write_spec("away", PYPI)
    found = machine.run("audit", "--vulnerabilities", str(file), "--json")
    told = json.loads(found.stdout)
    assert [one["name"] for one in told["environments"]] == ["web"]
    assert [one["name"] for one in told["failed"]] == ["away"]
    assert (found.returncode, "away is not locked" in found.stderr) == (1, True)
