"""Package indexes that lie, flood, or withdraw: what a person is told, and what is refused."""

from __future__ import annotations

import gzip
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from envlock.errors import EnvlockError, FetchError
from envlock.fetch import indexes as indexes_module
from envlock.fetch.http import Http
from envlock.fetch.indexes import SimpleIndex
from envlock.lock.codec import dump_lock, load_lock, parse_lock

from ..makers.debs import DATE, Repository
from ..makers.fixtures import index, machine, mirror
from ..makers.index import JSON, Fault
from ..makers.wheels import metadata_text

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

__all__ = ["index", "machine", "mirror"]

ESCAPES = "broken \x1b[2J\x07\nerror: all is well \u202e"


def test_a_yanked_file_is_told_locked_and_refused_where_asked(
    machine: Machine, index: Index
) -> None:
    index.wheel("app", "1.0", offer={"yanked": ESCAPES})
    machine.write_spec("web", "pypi: {dependencies: [app==1.0]}\n")
    refused = machine.run("solve", "web", "--no-audit", "--strict")
    assert refused.returncode == 1
    assert "withdrawn" in refused.stderr
    assert not machine.lock("web").exists()
    done = machine.run("solve", "web", "--no-audit", "--json")
    assert done.returncode == 0, done.stderr
    assert "warning: app 1.0 is yanked from pypi: broken" in done.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]|^error", done.stderr, re.MULTILINE)
    ((told,),) = (one["yanked"] for one in json.loads(done.stdout)["environments"])
    assert (told["name"], told["version"], told["index"]) == ("app", "1.0", "pypi")
    lock = load_lock(machine.lock("web"))
    (app,) = lock.of_kind("pypi")
    assert app.yanked == told["because"]
    assert parse_lock(dump_lock(lock), "again") == lock
    assert machine.run("solve", "web", "--check").returncode == 0
    assert machine.run("solve", "web", "--check", "--strict").returncode == 1


def test_a_file_that_was_yanked_since(machine: Machine, index: Index) -> None:
    wheel = index.wheel("app", "1.0")
    machine.write_spec("web", "pypi: {dependencies: [app]}\n")
    assert machine.run("solve", "web", "--no-audit").returncode == 0
    before = machine.lock("web").read_text()
    assert "yanked" not in before
    index.withdraw("app")
    index.add(wheel, yanked="CVE-2026-0001")
    index.wheel("app", "0.9")
    late = machine.run("outdated", "web", "--strict")
    assert late.returncode == 1
    assert "yanked: CVE-2026-0001" in late.stdout
    told = json.loads(machine.run("outdated", "web", "--json").stdout)["environments"][0]
    assert next(one for one in told["packages"] if one["name"] == "app")["yanked_because"]
    for words, version in (((), "1.0"), (("-P", "app"), "0.9")):
        cold = {"ENVLOCK_CACHE_DIR": str(machine.root / "new")}  # uv keeps pages for a while
        done = machine.run("solve", "web", "--no-audit", *words, environ=cold)
        assert done.returncode == 0, done.stderr
        assert ("app 1.0 is yanked" in done.stderr) == (version == "1.0")
        assert load_lock(machine.lock("web")).of_kind("pypi")[0].version == version


@pytest.mark.parametrize("options", [("--no-audit",), ()], ids=["as-is", "audited"])
def test_metadata_that_the_wheel_does_not_have(
    machine: Machine, index: Index, options: tuple[str, ...]
) -> None:
    """An index could hide a requirement, or make one up: the wheel has the last word."""
    lie = metadata_text("app", "1.0", ["evil"]).encode()
    index.wheel("app", "1.0", ["inner"], offer={"metadata": lie})
    index.wheel("evil", "1.0")
    index.wheel("inner", "1.0")
    machine.write_spec("web", "pypi: {dependencies: [app]}\n")
    assert machine.run("solve", "web", *options).returncode == 0
    assert [one.name for one in load_lock(machine.lock("web")).of_kind("pypi")] == ["app", "evil"]
    refused = machine.run("build", "web", "--no-validate")
    assert refused.returncode == 3
    assert "app-1.0-py3-none-any.whl: its METADATA is not what pypi told" in refused.stderr
    again = machine.run("solve", "web", "--no-audit")
    assert again.returncode == 1
    assert "app 1.0 requires inner" in again.stderr
    assert "the index's metadata and the resolver disagree" in again.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'{"meta": {"api-version": "9.0"}, "files": []}',
        b'{"meta": {"api-version": "1.1"}, "files": [{"filename": 3}]}',
        b'{"meta": null, "files": {}}',
        b"[" * 100_000,
        b'{"meta": {"api-version": "1.1"}, "name": "a", "files": [{"hashes": []}]}',
        b"\xff\xfe",
    ],
    ids=["list", "version", "number", "null", "deep", "shape", "bytes"],
)
def test_a_page_that_is_none(index: Index, content: bytes) -> None:
    index.wheel("a", "1.0")
    index.faults["/simple/a/"] = Fault(content=content)
    with pytest.raises(FetchError, match="the index 'pypi' cannot be read"):
        SimpleIndex({"pypi": index.url}, Http()).files("pypi", "a")


@pytest.mark.parametrize("encoding", ["gzip", "identity", "endless"])
def test_a_page_without_end(index: Index, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes_module, "_LIMIT", 1 << 20)
    index.wheel("a", "1.0")
    flood = b" " * (8 << 20)
    content = gzip.compress(flood) if encoding == "gzip" else flood
    index.faults["/simple/a/"] = Fault(
        content=content,
        endless=encoding == "endless",
        headers={"Content-Encoding": "gzip"} if encoding == "gzip" else {},
    )
    with pytest.raises(FetchError, match="more than 1048576 bytes came"):
        SimpleIndex({"pypi": index.url}, Http()).files("pypi", "a")


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    error = EnvlockError("what\nerror: forged", where="a\nb", details=["c\nd"])
    assert str(error).splitlines() == ["a b: what error: forged", "c d"]


def test_json_is_what_indexes_are_asked_for(index: Index) -> None:
    index.wheel("a", "1.0")
    (file,) = SimpleIndex({"pypi": index.url}, Http()).files("pypi", "A")
    assert file.size
    (asked,) = index.requests("/simple/a/")
    assert JSON in asked.headers["accept"]


def test_a_mirror_that_goes_back_in_time(machine: Machine, index: Index, tmp_path: Path) -> None:
    """An older Release is as well signed as a newer one; what the lock saw tells them apart."""
    repository = Repository(tmp_path / "mirror")
    repository.add_base()
    repository.add("python3.11-minimal")
    repository.write_keyring(tmp_path / "keyring.gpg")
    updates = Repository(repository.root, suite="bookworm-updates", key=repository.key)
    updates.publish()
    index.folders["debian"] = repository.root
    machine.environ["ENVLOCK_KEYRING_DEBIAN"] = str(tmp_path / "keyring.gpg")
    machine.write_spec("os")
    said = []
    for date, options in ((DATE, ()), (DATE - timedelta(days=3), ("-U",))):
        repository.publish(date=date)
        done = machine.run("solve", "os", *options)
        assert done.returncode == 0, done.stderr
        said.append("the mirror lags" in done.stderr)
    assert said == [False, True]
