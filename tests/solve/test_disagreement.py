"""Packages that want different versions of a third one, and the ways out that are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from envlock.errors import UnsatisfiableError

from .solving import Solver, versions, voids

if TYPE_CHECKING:
    from ..makers.index import Index

BODY = "pypi:\n  dependencies: [board==1.0, tools==1.0]\n"


@pytest.fixture
def proto(index: Index) -> Index:
    """board 1.0 and tools want proto 3 and proto 4; board 2.0 takes any."""
    index.wheel("board", "1.0", ["proto>=3.9,<4"])
    index.wheel("board", "2.0", ["proto>=3.9"])
    index.wheel("tools", "1.0", ["proto>=4.2,<5"])
    for version in ("3.20", "4.25", "5.29"):
        index.wheel("proto", version)
    return index


def refused(solver: Solver, body: str) -> UnsatisfiableError:
    with pytest.raises(UnsatisfiableError) as caught:
        solver(body)
    return caught.value


def test_both_ways_out_are_told_and_each_solves(proto: Index, solver: Solver) -> None:
    error = refused(solver, BODY)
    assert error.message == (
        "board 1.0 requires proto<4,>=3.9, but tools 1.0 requires proto<5,>=4.2"
    )
    assert error.where == "envs/one.yaml:7:18"
    assert error.details[0] == "uv's explanation:"
    first, _, text = (error.hint or "").partition("\n")
    assert first == (
        "change board==1.0 (envs/one.yaml:7:18): board 2.0 gets along with the rest; "
        "or force proto 4.25 and say why:"
    )
    assert versions(solver(BODY.replace("board==1.0", "board==2.0")))["proto"] == "4.25"
    (proposed,) = yaml.safe_load(text)["overrides"]
    assert proposed["checks"] == [{"version": "4.25"}, {"import": "board"}]
    text = text.replace("<what needs proto 4.25>", "tools needs it")
    assert voids(solver(BODY + text)) == ["proto: board 1.0 -> proto<4,>=3.9"]


def test_the_version_that_fewest_refuse(proto: Index, solver: Solver) -> None:
    proto.wheel("chart", "1.0", ["proto<4"])
    error = refused(solver, BODY.replace("board==1.0", "board==1.0, chart"))
    assert error.message.startswith("tools 1.0 requires proto<5,>=4.2, but board 1.0 requires")
    assert "force proto 3.20 and say why" in (error.hint or "")
    assert "gets along" not in (error.hint or "")  # a change of one line helps nobody


def test_those_who_disagree_may_be_needed_by_others(proto: Index, solver: Solver) -> None:
    proto.wheel("app", "1.0", ["board==1.0", "tools"])
    error = refused(solver, "pypi: {dependencies: [app]}\n")
    assert error.message.startswith("board 1.0 requires proto<4,>=3.9, but tools 1.0")
    assert error.where == "envs/one.yaml"
    assert (error.hint or "").startswith("force proto 4.25 and say why:\n")


def test_several_conflicts_at_once(proto: Index, solver: Solver) -> None:
    """No line alone is to blame; what is proposed settles all of them."""
    proto.wheel("lit", "1.0", ["pill<11", "pack<24"])
    for name, version in (("pill", "10"), ("pill", "11.1.0"), ("pack", "23"), ("pack", "24.1.0")):
        proto.wheel(name, version)
    body = "pypi:\n  dependencies: [lit==1.0, 'pill>=11']\n  constraints: ['pack>=24']\n"
    error = refused(solver, body)
    texts = {
        "envs/one.yaml:7:28: pypi.dependencies asks for pill>=11, but lit 1.0 requires pill<11",
        "envs/one.yaml:8:17: pypi.constraints asks for pack>=24, but lit 1.0 requires pack<24",
    }
    also = [line.removeprefix("also ") for line in error.details if line.startswith("also ")]
    assert {f"{error.where}: {error.message}", *also} == texts
    first, _, text = (error.hint or "").partition("\n")
    assert first.startswith("change these lines of the spec; or force p")
    for what in ("pill 11.1.0", "pack 24.1.0"):
        text = text.replace(f"<what needs {what}>", "the test needs it")
    assert set(voids(solver(body + text))) == {
        "pack: lit 1.0 -> pack<24",
        "pill: lit 1.0 -> pill<11",
    }


def test_what_is_not_there_besides_a_conflict(proto: Index, solver: Solver) -> None:
    proto.wheel("flow", "1.0", ["proto<4", "plot"])
    proto.wheel("plot", "1.0", tag="cp311-cp311-win_amd64")
    error = refused(solver, "pypi: {dependencies: [flow, proto>=4]}\n")
    assert "Were proto of no matter, there would still be this:" in error.details
    assert "put a wheel of plot==1.0 on an index" in (error.hint or "")


def test_in_braces_where_the_spec_has_them(proto: Index, solver: Solver) -> None:
    proto.wheel("lone", "1.0", ["rare==1"])
    for version in ("1", "2"):
        proto.wheel("rare", version)
    forced = (
        'overrides: [{package: rare, version: "==2", against: {lone: "rare==1"}, because: of it}]\n'
    )
    error = refused(solver, BODY.replace("board==1.0", "lone, board==1.0") + forced)
    assert '{package: proto, version: "==4.25", against: {board: "proto<4,>=3.9"},' in (
        error.hint or ""
    )
