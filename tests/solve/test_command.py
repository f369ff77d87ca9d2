"""``envlock solve`` from the command line to the lock on the disk."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from envlock.lock.codec import load_lock

from ..makers.machine import NOWHERE

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine

SPEC = "pypi:\n  dependencies: [a, b]\n"


@pytest.fixture
def solved(machine: Machine, index: Index) -> Machine:
    """A project with one environment, locked when a and b had version 1.0."""
    for name in "ab":
        index.wheel(name, "1.0", offer={"metadata": True})
    machine.write_spec("one", SPEC)
    done = machine.run("solve")
    assert done.returncode == 0, done.stderr
    return machine


def _versions(machine: Machine) -> dict[str, str]:
    return {a.name: a.version for a in load_lock(machine.lock("one")).of_kind("pypi")}


def test_the_lock_names_no_host(solved: Machine, index: Index) -> None:
    text = solved.lock("one").read_text()
    assert "127.0.0.1" not in text
    assert "://" not in text
    assert str(solved.root) not in text
    assert [a.name for a in load_lock(solved.lock("one")).of_kind("debian")][-1] == (
        "python3.11-minimal"
    )


def test_the_same_bytes_again(solved: Machine, index: Index) -> None:
    before = solved.lock("one").read_bytes()
    stamp = solved.lock("one").stat().st_mtime_ns
    again = solved.run("solve")
    assert again.returncode == 0
    assert "unchanged" in again.stderr
    assert solved.lock("one").stat().st_mtime_ns == stamp
    solved.lock("one").unlink()
    assert solved.run("solve", "one").returncode == 0
    assert solved.lock("one").read_bytes() == before


def test_kept_and_moved(solved: Machine, index: Index) -> None:
    for name in "ab":
        index.wheel(name, "2.0", offer={"metadata": True})
    assert solved.run("solve").returncode == 0
    assert _versions(solved) == {"a": "1.0", "b": "1.0"}
    done = solved.run("solve", "-P", "A")
    assert _versions(solved) == {"a": "2.0", "b": "1.0"}
    assert "~ a 1.0 -> 2.0" in done.stderr
    assert solved.run("solve", "--upgrade").returncode == 0
    assert _versions(solved) == {"a": "2.0", "b": "2.0"}


def test_check_is_fresh_without_a_network(solved: Machine) -> None:
    started = time.monotonic()
    done = solved.run(
        "solve", "--check", ENVLOCK_INDEX_PYPI=NOWHERE, ENVLOCK_MIRROR_DEBIAN="http://127.0.0.1:9"
    )
    assert time.monotonic() - started < 5
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "one linux-64: fresh\n"


def test_check_of_a_changed_spec(solved: Machine) -> None:
    solved.write_spec("one", "pypi:\n  dependencies: [a, 'b<2']\nimage: {user: me}\n")
    done = solved.run("solve", "--check", ENVLOCK_INDEX_PYPI=NOWHERE)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: locks/one.linux-64.lock.json: the lock does not answer envs/one.yaml any more",
        "  + image.user: me",
        "  - pypi.dependencies: b",
        "  + pypi.dependencies: b<2",
        "hint: run envlock solve one and check the lock in",
    ]


def test_check_of_what_does_not_count(solved: Machine) -> None:
    solved.write_spec("one", "# a comment\npypi: {dependencies: [b, a]}\n")
    assert solved.run("solve", "--check").returncode == 0


def test_check_of_a_hand_edit(solved: Machine) -> None:
    lock = solved.lock("one")
    lock.write_text(lock.read_text().replace('"version": "1.0"', '"version": "1.1"', 1))
    done = solved.run("solve", "--check")
    assert done.returncode == 1
    assert "1 artifact was changed by hand" in done.stderr
    assert "  debian base-files 1.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_without_a_lock(machine: Machine) -> None:
    machine.write_spec("one", SPEC)
    done = machine.run("solve", "--check")
    assert done.returncode == 1
    assert "locks/one.linux-64.lock.json: there is no lock" in done.stderr


def test_a_broken_lock_is_solved_anew(solved: Machine) -> None:
    before = solved.lock("one").read_bytes()
    solved.lock("one").write_text("<<<<<<< HEAD\n")
    done = solved.run("solve")
    assert done.returncode == 0
    assert "warning: locks/one.linux-64.lock.json: a merge left its conflict markers" in done.stderr
    assert solved.lock("one").read_bytes() == before


def test_a_failed_solve_leaves_the_lock(solved: Machine) -> None:
    before = solved.lock("one").read_bytes()
    solved.write_spec("one", "pypi: {dependencies: [a, nosuchthing]}\n")
    done = solved.run("solve")
    assert done.returncode == 1
    assert "nosuchthing" in done.stderr
    assert solved.lock("one").read_bytes() == before


def test_a_debian_package_that_is_not_there_is_told_with_its_place(machine: Machine) -> None:
    spec = machine.write_spec("one", "pypi: {dependencies: []}\n")
    spec.write_text(spec.read_text().replace("packages: [", "packages: [no-such-thing, "))
    done = machine.run("solve")
    assert done.returncode == 1
    assert "error: envs/one.yaml:" in done.stderr
    assert "the Debian suite has no package named no-such-thing" in done.stderr


def test_without_debian(machine: Machine, index: Index) -> None:
    index.wheel("a", "1.0")
    machine.write_spec("one", "pypi: {dependencies: [a]}\n", debian=False)
    done = machine.run("solve")
    assert done.returncode == 1
    assert "nothing in the image is Python 3.11" in done.stderr
    assert "add python3.11-minimal" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_python_than_the_suites(machine: Machine, index: Index) -> None:
    index.wheel("a", "1.0")
    spec = machine.write_spec("one", "pypi: {dependencies: [a]}\n")
    spec.write_text(spec.read_text().replace('python: "3.11"', 'python: "3.14"'))
    done = machine.run("solve")
    assert done.returncode == 1
    assert "nothing in the image is Python 3.14" in done.stderr
    assert "  Debian's packages bring Python 3.11\n" in done.stderr
    assert 'hint: write python: "3.11"; or choose a suite that has 3.14, or take' in done.stderr


def test_without_packages_from_pypi(machine: Machine) -> None:
    machine.write_spec("one")
    done = machine.run("--json", "solve")
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)["environments"]
    assert document == {
        "artifacts": 5,
        "bytes": document["bytes"],
        "changed": True,
        "lock": "locks/one.linux-64.lock.json",
        "name": "one",
        "platform": "linux-64",
        "review": None,
        "base": None,
        "voided": [],
        "clobbered": [],
        "yanked": [],
    }


def test_offline_with_warm_caches(solved: Machine, index: Index) -> None:
    index.asked.clear()
    done = solved.run("solve", "--offline")
    assert done.returncode == 0, done.stderr
    assert not index.asked


def test_offline_with_cold_caches(machine: Machine, index: Index) -> None:
    index.wheel("a", "1.0")
    machine.write_spec("one", "pypi: {dependencies: [a]}\n")
    done = machine.run("solve", "--offline")
    assert done.returncode == 3
    assert "run the command once without --offline" in done.stderr
    assert not index.asked


@pytest.mark.parametrize(
    "variable",
    ["UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL"],
)
def test_uv_takes_nothing_else_from_the_machine(
    solved: Machine, index: Index, variable: str
) -> None:
    """ENVLOCK_INDEX_PYPI has the last word."""
    before = solved.lock("one").read_bytes()
    done = solved.run("solve", "-U", environ={variable: NOWHERE})
    assert done.returncode == 0, done.stderr
    assert solved.lock("one").read_bytes() == before


def test_no_variable_changes_the_strategy(solved: Machine, index: Index) -> None:
    index.wheel("a", "2.0rc1", offer={"metadata": True})
    for variables in (
        {"UV_PRERELEASE": "allow"},
        {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_RESOLUTION": "lowest"},
        {"UV_EXCLUDE_NEWER": "2001-01-01T00:00:00Z"},
    ):
        done = solved.run("solve", "-U", environ=variables)
        assert done.returncode == 0, done.stderr
        assert "unchanged" in done.stderr


def test_the_index_is_down(machine: Machine) -> None:
    machine.write_spec("one", "pypi: {dependencies: [a]}\n")
    done = machine.run("solve", ENVLOCK_INDEX_PYPI=NOWHERE, UV_HTTP_RETRIES="0")
    assert done.returncode == 3
    assert "error: the package index pypi cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_index_wants_a_login(machine: Machine, index: Index) -> None:
    index.wheel("a", "1.0")
    index.login = ("someone", "word")
    machine.write_spec("one", "pypi: {dependencies: [a]}\n")
    done = machine.run("solve")
    assert done.returncode == 3
    assert "error: the package index pypi cannot be read" in done.stderr
    assert "hint: the index wants a login, or refuses the one that it was given" in done.stderr


def test_a_full_or_closed_cache_is_no_conflict(machine: Machine, index: Index) -> None:
    index.wheel("a", "1.0")
    machine.write_spec("one", "pypi: {dependencies: [a]}\n")
    (machine.root / "file").write_text("")
    done = machine.run("solve", ENVLOCK_CACHE_DIR=str(machine.root / "file" / "cache"))
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_no_index_has(machine: Machine, index: Index) -> None:
    machine.write_spec("one", "pypi:\n  dependencies: [nunpy]\n")
    done = machine.run("solve")
    assert done.returncode == 1
    assert "hint: check how nunpy is spelled" in done.stderr
