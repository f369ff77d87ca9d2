"""What advisories say of a lock: ranges, spellings, doubles, what is accepted."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import zipfile
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.advisories.judge import judge
from envlock.advisories.read import read_advisories
from envlock.errors import Location, UsageError
from envlock.spec.model import AcceptedVulnerability

from ..lock.locks import BELOW, LOCK, conda, deb, wheel
from .making import osv

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.advisories.model import Verdict
    from envlock.lock.model import Artifact

TODAY = date(2026, 5, 1)
HERE = Location(file="envs/a.yaml", line=1, column=1)


def _judge(
    folder: Path, advisories: list[Any], artifacts: tuple[Artifact, ...], *accepted: Any
) -> Verdict:
    file = folder / "osv.json"
    file.write_text(json.dumps(advisories))
    lock = dataclasses.replace(LOCK, artifacts=artifacts)
    return judge(lock, read_advisories(file), accepted, TODAY)


def _accept(name: str, **more: Any) -> AcceptedVulnerability:
    return AcceptedVulnerability(id=name, because="no", location=HERE, **more)


@pytest.mark.parametrize(
    ("version", "events", "affected"),
    [
        ("1.0", [("introduced", "0")], True),
        ("1.0", [("introduced", "0"), ("fixed", "1.0")], False),
        ("1.0rc1", [("introduced", "0"), ("fixed", "1.0")], True),
        ("1.10", [("introduced", "0"), ("fixed", "1.9")], False),
        ("1.0", [("introduced", "0"), ("last_affected", "1.0")], True),
        ("1.0.post1", [("introduced", "0"), ("last_affected", "1.0")], False),
        ("1.5", [("introduced", "0"), ("fixed", "1.2"), ("introduced", "1.4")], True),
        ("1.3", [("introduced", "0"), ("fixed", "1.2"), ("introduced", "1.4")], False),
        ("1.3", [("fixed", "1.2"), ("introduced", "0")], False),
        ("1.1", [("fixed", "1.2"), ("introduced", "0")], True),
        # a build of a version is that version
        ("2.6.0+cu124", [("introduced", "0"), ("last_affected", "2.6.0")], True),
        ("2.6.0+cu124", [("introduced", "2.6.0")], True),
        ("2.6.0+cu124", [("introduced", "0"), ("fixed", "2.6.0")], False),
    ],
)
def test_a_version_in_a_range(
    tmp_path: Path, version: str, events: list[tuple[str, str]], affected: bool
) -> None:
    verdict = _judge(tmp_path, [osv("G-1", "App", *events)], (wheel("app", version),))
    assert bool(verdict.open) is affected


def test_names_are_normalized_and_versions_listed(tmp_path: Path) -> None:
    advisory = osv("G-1", "My_App.Core", versions=["0.9", "weird-1", "1.0.0"])
    (found,) = _judge(tmp_path, [advisory], (wheel("my-app-core", "1.0"),)).open
    assert found.ids == ("G-1",)
    assert found.summary == "My_App.Core is unsafe"


def test_debian_by_source_release_and_its_own_order(tmp_path: Path) -> None:
    ssl = dataclasses.replace(
        deb("libssl3", "3.0.15-1~deb12u1+b2"), path="pool/main/o/openssl/libssl3.deb"
    )
    here = osv("D-1", "openssl", ("introduced", "0"), ("fixed", "3.0.15-1"), ecosystem="Debian:12")
    done = osv("D-2", "openssl", ("introduced", "0"), ("fixed", "3.0.9-1"), ecosystem="Debian:12")
    other = osv("D-3", "openssl", ("introduced", "0"), ecosystem="Debian:11")
    binary = osv("D-4", "libssl3", ("introduced", "0"), ecosystem="Debian:12")
    every = osv("D-5", "openssl", ("introduced", "0"), ecosystem="Debian")
    found = _judge(tmp_path, [here, done, other, binary, every], (ssl,)).open
    assert [one.ids for one in found] == [("D-1",), ("D-5",)]
    assert found[0].fixed == ("3.0.15-1",)
    assert found[0].subject.artifact.name == "libssl3"


def test_a_rebuild_is_its_source_version(tmp_path: Path) -> None:
    one = osv("D-1", "hello", ("introduced", "0"), ("last_affected", "1.0-1"), ecosystem="Debian")
    assert _judge(tmp_path, [one], (deb("hello", "1.0-1+b3"),)).open


def test_distributions_in_conda_packages_count(tmp_path: Path) -> None:
    package = conda("py-app", provides=(("app", "1.0"),))
    (found,) = _judge(tmp_path, [osv("G-1", "app", ("introduced", "0"))], (package,)).open
    assert (found.subject.name, found.subject.artifact.name) == ("app", "py-app")


def test_databases_that_tell_of_the_same_are_one_finding(tmp_path: Path) -> None:
    verdict = _judge(
        tmp_path,
        [
            osv("G-1", "app", ("introduced", "0"), ("fixed", "2"), aliases=["CVE-1"]),
            osv("P-1", "app", ("introduced", "0"), ("fixed", "2"), aliases=["CVE-2"]),
            osv("X-1", "app", ("introduced", "0"), aliases=["CVE-1", "CVE-2"]),
            osv("Y-1", "app", ("introduced", "0")),
        ],
        (wheel("app"),),
    )
    assert [one.ids for one in verdict.open] == [("CVE-1", "CVE-2", "G-1", "P-1", "X-1"), ("Y-1",)]


def test_a_bundle_is_none_of_its_parts(tmp_path: Path) -> None:
    everything = ("introduced", "0")
    single = osv("DEBIAN-CVE-1", "hello", everything, ecosystem="Debian", upstream=["CVE-1"])
    bundle = osv("DSA-1", "hello", everything, ecosystem="Debian", upstream=["CVE-1", "CVE-2"])
    verdict = _judge(tmp_path, [single, bundle], (deb("hello"),), _accept("CVE-1"))
    assert [one.ids for one in verdict.found] == [("CVE-1", "DEBIAN-CVE-1"), ("DSA-1",)]
    assert [one.ids for one in verdict.open] == [("DSA-1",)]


def test_withdrawn_and_foreign_ones_are_left_out(tmp_path: Path) -> None:
    verdict = _judge(
        tmp_path,
        [
            osv("G-1", "app", ("introduced", "0"), withdrawn="2025-01-01T00:00:00Z"),
            osv("G-2", "app", ("introduced", "0"), ecosystem="npm"),
            {"id": "G-3", "affected": [{"ranges": [{"type": "GIT", "events": []}]}]},
        ],
        (wheel("app"),),
    )
    assert verdict.found == ()


def test_accepted_by_alias_package_and_day(tmp_path: Path) -> None:
    advisory = osv("G-1", "app", ("introduced", "0"), aliases=["CVE-1"])

    def verdict(*accepted: AcceptedVulnerability) -> Verdict:
        return _judge(tmp_path, [advisory], (wheel("app"),), *accepted)

    assert verdict(_accept("CVE-1")).open == ()
    assert verdict(_accept("G-1", package="app")).open == ()
    assert verdict(_accept("G-1", until=TODAY)).open == ()
    (late,) = verdict(_accept("G-1", until=date(2026, 4, 30))).open
    assert late.expired is not None
    elsewhere = verdict(_accept("G-1", package="other"))
    assert elsewhere.open
    assert [entry.package for entry in elsewhere.unused] == ["other"]
    # an expired entry does not keep a valid one from counting
    assert verdict(_accept("G-1", until=date(2020, 1, 1)), _accept("CVE-1")).open == ()


def test_what_cannot_be_compared_is_told(tmp_path: Path) -> None:
    advisory = osv("G-1", "app", ("introduced", "0"), ("fixed", "not a version"))
    verdict = _judge(tmp_path, [advisory], (wheel("app"),))
    assert verdict.found == ()
    assert "G-1 and app 1.0" in verdict.unjudged[0]


def test_what_a_base_image_brings_is_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "osv.json"
    file.write_text(json.dumps([osv("G-1", "other", ("introduced", "0"))]))
    verdict = judge(dataclasses.replace(LOCK, base=BELOW), read_advisories(file), (), TODAY)
    assert verdict.unjudged == (f"what is in the base image {BELOW.reference}",)


def test_a_folder_a_file_and_a_zip_are_the_same(tmp_path: Path) -> None:
    advisories = [osv(f"G-{n}", "app", ("introduced", "0")) for n in range(3)]
    folder = tmp_path / "folder"
    (folder / "PyPI").mkdir(parents=True)
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for one in advisories:
            (folder / "PyPI" / f"{one['id']}.json").write_text(json.dumps(one))
            out.writestr(f"{one['id']}.json", json.dumps(one))
    file = tmp_path / "all.json"
    file.write_text(json.dumps(advisories))
    assert read_advisories(folder) == read_advisories(archive) == read_advisories(file)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        "[]",
        "{}",
        '{"id": 1}',
        '{"id": "a", "affected": [{"package": {"name": "a"}}]}',
        '{"id": "a", "affected": [{"package": {"name": "a", "ecosystem": "PyPI"}, "ranges": [1]}]}',
        '{"id": "a", "affected": 5}',
        "[" * 100_000,
    ],
)
def test_what_is_no_advisory_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "osv.json"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_advisories(file)
    assert caught.value.where == str(file)


def test_a_bomb_in_a_zip_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.json", b" " * (65 << 20))
    with pytest.raises(UsageError, match="more than 64 MB"):
        read_advisories(archive)


def test_a_damaged_zip(tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.json", b" " * 1000)
        place = out.getinfo("a.json").header_offset + 30 + len("a.json")
    data = bytearray(archive.read_bytes())
    data[place] = 0xFF  # a kind of block that DEFLATE does not have
    archive.write_bytes(data)
    with pytest.raises(UsageError, match="the advisories cannot be read") as caught:
        read_advisories(archive)
    assert caught.value.where == str(archive)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["id", "affected", "package", "name", "ecosystem", "ranges", "events", "type"]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    file = tmp_path_factory.mktemp("osv") / "osv.json"
    file.write_text(json.dumps(value))
    with contextlib.suppress(UsageError):
        assert read_advisories(file).read
