"""``envlock outdated``: a project that the world has left behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from ..makers.debs import Repository

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

SPEC = """\
pypi:
  dependencies: [app<2, plugin]
overrides:
  - package: engine
    version: "==1.0"
    against: {app: "engine==2.0"}
    because: plugin needs the old engine
    until: plugin>=2
    checks:
      - version: "1.0"
"""


@pytest.fixture
def solved(machine: Machine, index: Index) -> Machine:
    """A machine with one locked environment; in it, all is the newest."""
    index.wheel("app", "1.0", ["engine==2.0"])
    index.wheel("engine", "1.0")
    index.wheel("engine", "2.0")
    index.wheel("plugin", "1.0")
    machine.write_spec("demo", SPEC)
    done = machine.run("solve", "--no-audit")
    assert done.returncode == 0, done.stderr
    return machine


def _outlook(machine: Machine, *words: str, code: int = 0) -> Any:
    done = machine.run("outdated", *words, "--json")
    assert done.returncode == code, done.stderr
    document = json.loads(done.stdout)
    schema = json.loads(machine.run("schema", "outdated").stdout)
    jsonschema.Draft202012Validator(schema).validate(document)
    (environment,) = document["environments"]
    return environment


def _package(outlook: Any, name: str) -> Any:
    return next(one for one in outlook["packages"] if one["name"] == name)


def _override(outlook: Any) -> Any:
    (override,) = outlook["overrides"]
    return override


def test_nothing_moved(solved: Machine) -> None:
    outlook = _outlook(solved, "--strict")
    assert {p["name"] for p in outlook["packages"] if p["behind"]} == {"engine"}
    assert _package(outlook, "engine")["newest"] == "2.0"
    assert _package(outlook, "engine")["forced"]
    assert _override(outlook)["state"] == "needed"
    assert _override(outlook)["notes"] == ["app 1.0 is the newest there is"]
    shown = solved.run("outdated").stdout
    assert "none of 8 packages would move with envlock solve -U demo, 1 could if" in shown
    assert "python3.11-minimal" not in shown
    assert "python3.11-minimal" not in solved.run("outdated", "--all").stdout
    assert "python3.11-minimal" in solved.run("outdated", "--up-to-date").stdout
    refused = solved.run("outdated", "demo", "--all")
    assert refused.returncode == 2
    assert "--up-to-date shows the packages that are up to date" in refused.stderr


def test_allowed_is_what_solve_upgrade_locks(solved: Machine, index: Index) -> None:
    index.wheel("app", "1.5", ["engine==2.0"])
    index.wheel("app", "3.0", ["engine==3.0"])
    outlook = _outlook(solved)
    app = _package(outlook, "app")
    assert (app["locked"], app["allowed"], app["newest"]) == ("1.0", "1.5", "3.0")
    assert app["outdated"]
    assert _override(outlook)["notes"] == ["app 3.0 requires engine==3.0"]
    row = next(line for line in solved.run("outdated").stdout.splitlines() if "app" in line[:4])
    assert row.split() == ["app", "pypi", "1.0", "1.5", "3.0"]
    assert solved.run("solve", "-U", "--no-audit").returncode == 0
    assert '"1.5"' in solved.lock("demo").read_text()


def test_yanked_and_withdrawn_files(solved: Machine, index: Index) -> None:
    index.withdraw("plugin")
    made = index.folder / "files"
    wheel = next(made.glob("plugin-1.0-*.whl"))
    index.add(wheel, yanked=True)
    index.wheel("plugin", "0.9")
    plugin = _package(_outlook(solved), "plugin")
    assert (plugin["yanked"], plugin["gone"], plugin["newest"]) == (True, False, "1.0")
    index.withdraw("plugin")
    index.wheel("plugin", "0.9")
    plugin = _package(_outlook(solved), "plugin")
    assert (plugin["yanked"], plugin["gone"]) == (False, True)
    assert "no longer offered" in solved.run("outdated").stdout


def test_an_override_that_has_outlived_its_until(solved: Machine, index: Index) -> None:
    index.wheel("plugin", "2.1")
    override = _override(_outlook(solved, "--strict", code=1))
    assert override["state"] == "stale"
    assert override["reasons"] == [
        "it is stale: plugin 2.1 is here, and it was to last until plugin>=2"
    ]
    text = (solved.project / "envs" / "demo.yaml").read_text().splitlines()
    first, last = override["lines"]
    assert (text[first - 1], text[last - 1].strip()) == ("overrides:", '- version: "1.0"')
    shown = solved.run("outdated").stdout
    assert f"the override is lines {first} to {last} of envs/demo.yaml" in shown
    refused = solved.run("solve", "-U", "--no-audit")
    assert refused.returncode == 1
    assert f"the override is lines {first} to {last} of envs/demo.yaml" in refused.stderr


def test_an_override_that_has_no_effect(solved: Machine, index: Index) -> None:
    index.wheel("app", "1.6", ["engine>=1"])
    spec = solved.project / "envs" / "demo.yaml"
    spec.write_text(spec.read_text().replace('"engine==2.0"', '"engine>=1"'))
    override = _override(_outlook(solved, "--strict", code=1))
    assert override["state"] == "stale"
    assert "it changes nothing: app 1.6 requires engine>=1" in override["reasons"][0]


def test_a_pin_that_says_something_else(solved: Machine, index: Index) -> None:
    index.wheel("app", "1.7", ["engine==2.5"])
    override = _override(_outlook(solved, "--strict", code=1))
    assert override["state"] == "changed"
    assert override["reasons"] == ["app 1.7 requires engine==2.5, not engine==2.0"]
    assert 'write against: {app: "engine==2.5"}' in override["hint"]


def test_what_the_spec_keeps_out_could_do_without(solved: Machine, index: Index) -> None:
    spec = solved.project / "envs" / "demo.yaml"
    spec.write_text(spec.read_text().replace("plugin]", "plugin==1.0]"))
    assert solved.run("solve", "--no-audit").returncode == 0
    index.wheel("plugin", "2.0")
    news = "plugin 2.0 is there, and the override was to last until plugin>=2; the spec asks for "
    override = _override(_outlook(solved, "--strict", code=1))
    assert override["state"] == "replaceable"
    assert override["reasons"] == [f"{news}plugin==1.0 (envs/demo.yaml:10:25)"]
    done = solved.run("solve", "--no-audit")
    assert done.returncode == 0
    assert f"override engine 1.0: {news}" in done.stderr
    assert news not in solved.run("solve", "--no-audit", "--offline").stderr


def test_newer_dependents_that_need_no_override(solved: Machine, index: Index) -> None:
    index.wheel("app", "2.0", ["engine>=1"])
    override = _override(_outlook(solved))
    assert override["state"] == "replaceable"
    assert override["reasons"] == ["app 2.0 requires engine>=1, which 1.0 meets"]


def test_a_new_debian_package(solved: Machine, index: Index, tmp_path: Path, mirror: Path) -> None:
    repository = Repository(tmp_path / "later")
    repository.add_base()
    repository.add("python3.11-minimal", version="99:4-1")
    repository.publish()
    Repository(repository.root, suite="bookworm-updates", key=repository.key).publish()
    repository.write_keyring(tmp_path / "later.gpg")
    index.folders["later"] = repository.root
    solved.environ["ENVLOCK_MIRROR_DEBIAN"] = f"{index.base}/later"
    solved.environ["ENVLOCK_KEYRING_DEBIAN"] = str(tmp_path / "later.gpg")
    python = _package(_outlook(solved), "python3.11-minimal")
    assert (python["allowed"], python["newest"], python["gone"]) == ("99:4-1", "99:4-1", True)


def test_conda_packages_and_their_overrides(machine: Machine, index: Index, channels: Path) -> None:
    index.folders["conda"] = channels
    machine.environ["ENVLOCK_CHANNELS"] = f"{index.base}/conda"
    body = """\
version: 1
name: one
platforms:
  linux-64: {glibc: "2.36"}
python: "3.12"
conda:
  channels: [main]
  dependencies: [scipy]
overrides:
  - package: numpy
    from: conda
    version: "==1.24.4"
    against: {scipy: "numpy >=1.26,<3"}
    because: an old ABI
"""
    (machine.project / "envs" / "one.yaml").write_text(body)
    assert machine.run("solve", "--no-audit").returncode == 0
    outlook = _outlook(machine)
    numpy = _package(outlook, "numpy")
    assert (numpy["locked"], numpy["allowed"], numpy["newest"]) == ("1.24.4", "1.24.4", "2.0.0")
    assert not numpy["gone"]
    assert _override(outlook)["state"] == "needed"


def test_what_is_not_locked_is_said(machine: Machine) -> None:
    machine.write_spec("demo", SPEC)
    done = machine.run("outdated", "demo")
    assert done.returncode == 1
    assert "demo is not locked for linux-64" in done.stderr


def test_a_solve_that_would_fail_is_told_and_the_rest_shown(solved: Machine, index: Index) -> None:
    index.withdraw("plugin")
    index.wheel("plugin", "1.4", ["nowhere"])
    outlook = _outlook(solved)
    assert outlook["problem"]
    assert _package(outlook, "plugin")["allowed"] is None
    assert _package(outlook, "plugin")["newest"] == "1.4"
    assert "envlock solve -U demo would fail" in solved.run("outdated").stderr


def test_offline_says_what_to_do(solved: Machine) -> None:
    done = solved.run("outdated", "--offline")
    assert done.returncode == 3
    assert "the network is needed, but --offline was given" in done.stderr
    assert done.stderr.rstrip().endswith("without --offline the rest follows")
