"""Which distribution a conda package stands for that does not say so itself."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from envlock.channels import ChannelAccess
from envlock.errors import OverrideError, UsageError
from envlock.lock.codec import dump_lock, parse_lock
from envlock.solve.conda.table import name_table

from ..makers.conda import distribution, index_channel, make_conda
from .solving import CondaSolver, wheels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from envlock.lock.model import Lock

    from ..makers.index import Index

Purls = dict[str, list[str]]


def with_purls(channel: Path, purls: Purls) -> None:
    """Write purls into a channel's repodata, as some channels' servers do."""
    for place in channel.glob("*/repodata.json"):
        value = json.loads(place.read_text())
        for kind in ("packages", "packages.conda"):
            for record in value[kind].values():
                record |= {"purls": purls[record["name"]]} if record["name"] in purls else {}
        place.write_text(json.dumps(value))
        shutil.rmtree(place.parent / "shards", ignore_errors=True)
        for other in place.parent.glob("repodata[._]*"):
            if other != place:
                other.unlink()


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    folder = tmp_path / "names"
    make_conda(folder, "python", "3.12.1")
    make_conda(folder, "silent", "2.0", depends=["python"], files={"lib/silent.py": ""})
    make_conda(folder, "silent-too", "2.0", depends=["python"])
    make_conda(folder, "library", "4.0")
    make_conda(
        folder,
        "speaks",
        "1.0",
        noarch="python",
        depends=["python"],
        files=distribution("spoken", "1.0"),
    )
    index_channel(folder)
    return folder


@pytest.fixture
def ask(tmp_path: Path, index: Index, channel: Path) -> CondaSolver:
    for name in ("quiet", "spoken", "guessed", "silent"):
        index.wheel(name, "9.0", offer={"metadata": True})
    access = {"names": ChannelAccess(urls=(channel.as_uri(),))}
    return CondaSolver(tmp_path / "solver", index, access)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that has conda-pypi: its metadata and its data, as pip leaves them."""
    site = tmp_path / "site"
    info = site / "conda_pypi-0.13.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: conda-pypi\nVersion: 0.13.0\n")
    (site / "conda_pypi").mkdir()
    (site / "conda_pypi" / "__init__.py").write_text("raise SystemExit('imported')\n")
    entries = {
        name: {"pypi_name": name, "conda_name": conda}
        for name, conda in {
            "aaa-silent": "silent", "silent": "silent", "guessed": "library", "spoken": "speaks",
        }.items()
    }  # fmt: skip
    (site / "conda_pypi" / "grayskull_pypi_mapping.json").write_text(json.dumps(entries))
    monkeypatch.syspath_prepend(site)
    name_table.cache_clear()
    yield
    name_table.cache_clear()


def body(conda: str, pypi: str, more: str = "") -> str:
    return (
        f"conda:\n  channels: [names]\n  dependencies: [python, {conda}]\n{more}"
        f"pypi:\n  dependencies: [{pypi}]\n"
    )


def stands_for(lock: Lock) -> dict[str, dict[str, str]]:
    return {
        a.name: dict(a.conda.stands_for) for a in lock.of_kind("conda")
        if a.conda and a.conda.stands_for
    }  # fmt: skip


def test_purls(ask: CondaSolver, channel: Path) -> None:
    with_purls(channel, {"silent": ["pkg:conda/silent", "pkg:pypi/Quiet@2.1?x=y#z"]})
    lock = ask(body("silent", "quiet"))
    assert stands_for(lock) == {"silent": {"quiet": "2.1"}}
    assert wheels(lock) == {}
    assert parse_lock(dump_lock(lock), "lock") == lock


def test_what_a_package_says_itself_comes_first(ask: CondaSolver, channel: Path) -> None:
    with_purls(channel, {"speaks": ["pkg:pypi/guessed"], "silent": ["pkg:pypi/spoken@7"]})
    lock = ask(body("speaks, silent", '"spoken==1.0", guessed'))
    assert stands_for(lock) == {}
    assert wheels(lock) == {"guessed": "9.0"}


def test_of_two_that_stand_for_the_same_the_first_does(ask: CondaSolver, channel: Path) -> None:
    with_purls(channel, {name: ["pkg:pypi/quiet"] for name in ("silent", "silent-too")})
    assert stands_for(ask(body("silent, silent-too", "quiet"))) == {"silent": {"quiet": "2.0"}}


@pytest.mark.usefixtures("table")
def test_the_table_of_conda_pypi(ask: CondaSolver) -> None:
    lock = ask(body("silent, library, speaks", "silent, guessed, spoken"))
    assert stands_for(lock) == {"silent": {"silent": "2.0"}}  # a library is no distribution
    assert wheels(lock) == {"guessed": "9.0"}


@pytest.mark.usefixtures("table")
def test_purls_come_before_the_table(ask: CondaSolver, channel: Path) -> None:
    with_purls(channel, {"silent": ["pkg:pypi/quiet"]})
    assert stands_for(ask(body("silent", "quiet"))) == {"silent": {"quiet": "2.0"}}


def test_without_conda_pypi_nothing_is_guessed(ask: CondaSolver) -> None:
    assert importlib.util.find_spec("conda_pypi") is None
    assert wheels(ask(body("silent", "silent"))) == {"silent": "9.0"}


@pytest.mark.usefixtures("table")
def test_the_spec_has_the_last_word(ask: CondaSolver) -> None:
    lock = ask(body("silent", "silent, quiet", "  map: {silent: quiet}\n"))
    assert stands_for(lock) == {"silent": {"quiet": "2.0"}}
    assert wheels(lock) == {"silent": "9.0"}
    none = ask(body("silent", "silent", '  map: {silent: ""}\n'))
    assert (stands_for(none), wheels(none)) == ({}, {"silent": "9.0"})


def test_a_wheel_in_place_of_what_is_only_stood_for(ask: CondaSolver) -> None:
    text = body("silent", "quiet", "  map: {silent: quiet}\n") + (
        'overrides:\n  - package: quiet\n    version: "==9.0"\n'
        '    against: {other: "quiet<3"}\n    because: newer\n'
    )
    with pytest.raises(OverrideError, match="the conda package silent stands for quiet") as caught:
        ask(text)
    assert caught.value.where == "envs/one.yaml:13:5"
    assert 'conda.map: {silent: ""}' in (caught.value.hint or "")


def with_table(ask: CondaSolver, content: str) -> CondaSolver:
    """Return the machine with a table of the user's own."""
    ask.table = ask.root / "names.json"
    ask.root.mkdir(exist_ok=True)
    ask.table.write_text(content)
    return ask


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    "content", [{"silent": "Quiet"}, {"Quiet": {"pypi_name": "Quiet", "conda_name": "silent"}}]
)
def test_a_table_of_the_users_own(ask: CondaSolver, content: object) -> None:
    lock = with_table(ask, json.dumps(content))(body("silent", "silent, quiet"))
    assert stands_for(lock) == {"silent": {"quiet": "2.0"}}  # conda-pypi's says something else
    assert wheels(lock) == {"silent": "9.0"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Expecting property name"),
        ("[]", "it is no table"),
        ('{"silent": 1}', "'silent' does not have two names"),
        ('{"silent": {"conda_name": "silent"}}', "'silent' does not have two names"),
    ],
)
def test_a_table_that_is_none(ask: CondaSolver, content: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        with_table(ask, content)(body("silent", "quiet"))
    assert caught.value.where == str(ask.table)


def test_a_table_that_is_not_there(ask: CondaSolver) -> None:
    ask.table = ask.root / "none.json"
    with pytest.raises(UsageError, match="No such file"):
        ask(body("silent", "quiet"))
