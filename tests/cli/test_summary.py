"""The lines below a build: what is in the image, and what to do next."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from envlock.cli.summary import summary_data, summary_lines
from envlock.image.layout import ImageDigests
from envlock.lock.model import BuiltImage
from envlock.pipeline import Built
from envlock.validate.results import Report, Result

from ..lock.locks import LOCK

LARGEST = (
    "  packages  2 Debian packages, 3 wheels; the largest: gcc 1.0-1 (5.0 kB), libc6 1.0-1 "
    "(5.0 kB), triton 2.3.1 (1.0 kB)"
)
NEXT = (
    "  next      envlock run a -- COMMAND; elsewhere by envlock build a --push REF, or "
    "--load podman"
)
assert LOCK.built is not None
HERE, ELSEWHERE = (
    os.uname_result(("Linux", "host", "6.1", "1", machine)) for machine in ("x86_64", "aarch64")
)
RESULTS = tuple(
    Result(kind="version", subject="x", status=status, override="triton")
    for status in ("passed", "not-run")
)
REPORT = Report(name="a", platform="linux-64", image="", overrides=(), results=RESULTS, seconds=1)
DIGESTS = ImageDigests(
    manifest=LOCK.built.manifest, config=LOCK.built.config, layers=(), size=2_500_000
)
BUILT = Built(digests=DIGESTS, report=REPORT, seconds={"pack": 1.23})


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: HERE)


def test_all_of_an_image_that_lies_where_it_should() -> None:
    assert summary_lines(LOCK, BUILT, "build/a", recorded=False, image="a") == [
        "a linux-64: 0 layers, 2.5 MB -> build/a (pack 1.2 s)",
        LARGEST,
        "  override  triton 2.3.1 against torch's triton==3.2.0; 1 of 2 checks passed",
        "  digest    as recorded in the lock",
        NEXT,
    ]
    wanted = {"packages": {"conda": 0, "debian": 2, "pypi": 3}, "recorded": True}
    assert summary_data(LOCK, BUILT) == wanted


def test_images_that_are_run_by_their_path(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = "  next      envlock run ./a.tar -- COMMAND"
    for machine, told in ((HERE, runs), (ELSEWHERE, f"{runs}, on a machine for it")):
        monkeypatch.setattr(os, "uname", lambda machine=machine: machine)
        assert summary_lines(LOCK, BUILT, "a.tar", recorded=False, image="./a.tar")[-1] == told


def test_what_is_not_recorded_or_proven() -> None:
    unproven = replace(BUILT, report=None)
    fresh = replace(LOCK, built=None)
    lines = summary_lines(fresh, unproven, None, recorded=False, image=None)
    assert lines[2:] == [
        "  override  triton 2.3.1 against torch's triton==3.2.0; not checked",
        "  digest    not recorded in the lock: --record does it",
    ]
    lines = summary_lines(fresh, unproven, None, recorded=True, image=None)
    assert lines[-1] == "  digest    recorded in the lock"
    other = replace(LOCK, built=BuiltImage(manifest="sha256:3", config="sha256:4"))
    lines = summary_lines(other, BUILT, None, recorded=False, image=None)
    assert lines[-1] == "  digest    not the one that the lock records (sha256:3)"
    assert summary_data(other, BUILT)["recorded"] is False
    same_id = replace(LOCK, built=BuiltImage(manifest="sha256:3", config=DIGESTS.config))
    lines = summary_lines(same_id, BUILT, None, recorded=False, image=None)
    assert lines[-1] == "  digest    the recorded image (sha256:3) in another compression"
