"""``envlock cache`` beside real builds."""

from __future__ import annotations

import json
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from envlock.cache.inventory import take_inventory
from envlock.cache.prune import judge, remove
from envlock.cli.commands.cache import _Kind
from envlock.leases import holders
from envlock.sizes import size_in_bytes

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine

SPEC = "pypi:\n  dependencies: [app]\n"


def _locked(machine: Machine, index: Index) -> None:
    code = b"import json\nfrom email import charset\n" + b"a = json.loads\n" * 1000
    index.wheel("app", "1.0", files={"app/data.py": code})
    machine.write_spec("one", SPEC)
    done = machine.run("solve")
    assert done.returncode == 0, done.stderr


def _build(machine: Machine) -> str:
    done = machine.run("build", "one", "--no-validate")
    assert done.returncode == 0, done.stderr
    return done.stdout


def _document(machine: Machine, what: str, *words: str) -> Any:
    done = machine.run("cache", what, *words, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    file = resources.files("envlock.cli") / "schemas" / f"cache-{what}.json"
    jsonschema.Draft202012Validator(json.loads(file.read_text())).validate(document)
    return document


def test_info_and_prune(machine: Machine, index: Index) -> None:
    _locked(machine, index)
    _build(machine)
    before = _document(machine, "info")
    kinds = {one["kind"]: one for one in before["kinds"]}
    assert kinds["downloads"]["entries"] > 1
    assert kinds["packed"]["entries"] >= 1
    assert kinds["audit"]["entries"] >= 4
    assert list(machine.cache.glob("audit/stubs/*.names"))
    assert before["dir"] == str(machine.cache)
    assert before["other_bytes"] == before["running_commands"] == 0
    assert before["bytes"] == sum(one["bytes"] for one in before["kinds"])
    trial = _document(machine, "prune", "--keep-days", "0", "--dry-run")
    done = _document(machine, "prune", "--keep-days", "0")
    assert done == trial | {"dry_run": False}
    assert (done["freed_bytes"], done["left_bytes"]) == (before["bytes"], 0)
    assert take_inventory(machine.cache).entries == ()


def test_only_one_kind_goes(machine: Machine, index: Index) -> None:
    _locked(machine, index)
    _build(machine)
    before = {one["kind"]: one["entries"] for one in _document(machine, "info")["kinds"]}
    assert list(before) == [one.value for one in _Kind]
    done = _document(machine, "prune", "--keep-days", "0", "--kind", "packed", "--kind", "notes")
    assert {one["kind"] for one in done["removed"]} == {"packed", "notes"}
    after = {one["kind"]: one["entries"] for one in _document(machine, "info")["kinds"]}
    assert after == before | {"packed": 0, "notes": 0}
    refused = machine.run("cache", "prune", "--kind", "all")
    assert refused.returncode == 2
    assert "unpacked" in refused.stderr


@pytest.mark.parametrize("days", ["inf", "nan", "1e300", "-1"])
def test_days_that_are_none(machine: Machine, days: str) -> None:
    refused = machine.run("cache", "prune", "--keep-days", days)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_unpacked_images_that_are_most_of_it_are_told(machine: Machine) -> None:
    rootfs = machine.cache / "rootfs" / f"sha256-{'0' * 64}"
    rootfs.mkdir(parents=True)
    (rootfs / "last-used").touch()
    (rootfs / "file").write_bytes(bytes(100_000))
    assert (
        "envlock cache prune --kind unpacked --keep-days 0" in machine.run("cache", "info").stderr
    )


def test_a_build_while_everything_is_pruned_all_the_time(machine: Machine, index: Index) -> None:
    """It fetches again what went before it began, and loses nothing that it has once."""
    _locked(machine, index)
    first = _build(machine)
    removed = 0
    build = machine.start("build", "one", "--no-validate")
    while build.poll() is None:
        found = take_inventory(machine.cache)
        verdict = judge(found, holders(machine.cache), before=time.time_ns(), largest=0)
        removed += len(remove(verdict.doomed))
    said, told = build.communicate()
    assert build.returncode == 0, told
    assert said == first
    assert removed


def test_a_command_that_ends_at_once_gives_its_lease_back(machine: Machine) -> None:
    """rattler's threads want no interpreter that is taken down: then no exit handler runs."""
    body = "conda:\n  channels: [{name: none, url: 'file:///none'}]\n  dependencies: [python]\n"
    machine.write_spec("one", body, debian=False)
    done = machine.run("solve", "one")
    assert done.returncode == 3, done.stderr
    assert list((machine.cache / "leases").iterdir()) == []


def test_sizes_are_decimal_or_binary() -> None:
    sizes = {"0": 0, "1.5GB": 1_500_000_000, "500 MiB": 500 * 2**20, "2t": 2 * 10**12, "7b": 7}
    assert {text: size_in_bytes(text) for text in sizes} == sizes
    for text in ("lots", "-1", "5 apples", "", "1e3", "٣", "9" * 400):
        with pytest.raises(ValueError, match="no size"):
            size_in_bytes(text)


def test_a_size_that_is_none(machine: Machine) -> None:
    done = machine.run("cache", "prune", "--max-size", "lots")
    assert done.returncode == 2
    assert "20GB" in done.stderr
