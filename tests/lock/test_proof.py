"""The proof beside a lock: canonical, strictly read, and told when it is about something else."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import LockError
from envlock.lock.model import BuiltImage, Lock
from envlock.lock.proof import (
    STATUSES,
    Proof,
    ProofGpu,
    ProvenCheck,
    dump_proof,
    load_proof,
    proof_path,
    staleness,
)

if TYPE_CHECKING:
    from pathlib import Path

IMAGE, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
LOCK = Lock(name="bnb", platform="linux-64", spec={"python": "3.11"}, artifacts=())
PROOF = Proof(
    name="bnb",
    platform="linux-64",
    image=IMAGE,
    input=LOCK.input,
    date="2026-01-31",
    envlock="1.2.3",
    gpu=ProofGpu(names=("NVIDIA H100",), driver="580.1.2", cuda="13.0"),
    checks=(
        ProvenCheck(kind="import", subject="import torch", status="passed"),
        ProvenCheck(kind="gpu", subject="torch-cuda", status="not-run", reason="no GPU here"),
        ProvenCheck(kind="version", subject="version is 1", status="passed", override="triton"),
    ),
)


def test_round_trip_and_text(tmp_path: Path) -> None:
    path = proof_path(tmp_path, "bnb", "linux-64")
    assert path.name == "bnb.linux-64.proof.json"
    path.write_text(dump_proof(PROOF))
    assert load_proof(path) == PROOF
    assert dump_proof(load_proof(path)) == path.read_text()
    value = json.loads(path.read_text())
    assert list(value) == sorted(value)
    assert path.read_text().endswith("}\n")


@given(
    st.lists(
        st.builds(
            ProvenCheck,
            kind=st.text(),
            subject=st.text(),
            status=st.sampled_from(STATUSES),
            override=st.none() | st.text(),
            reason=st.none() | st.text(),
        )
    )
)
def test_any_checks_come_back(
    tmp_path_factory: pytest.TempPathFactory, checks: list[ProvenCheck]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.proof.json"
    proof = dataclasses.replace(PROOF, checks=tuple(checks), gpu=None)
    path.write_text(dump_proof(proof), "utf-8")
    assert load_proof(path) == proof


def value_with(**more: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(dump_proof(PROOF))
    return value | more


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "the proof is no mapping"),
        ("{", "Expecting"),
        ('{"format": 1, "format": 1}', "stands twice"),
        (value_with(format=2), "its format is 2; this envlock reads 1"),
        (value_with(format=True), "its format is True"),
        (value_with(host="x"), "unknown key 'host'"),
        (value_with(image="sha256:1"), "image: 'sha256:1' cannot stand there"),
        (value_with(platform="win-64"), "win-64 is no platform"),
        (value_with(date="today"), "date: 'today'"),
        (value_with(envlock=1), "envlock is no text"),
        (value_with(gpu={}), "cuda' is missing"),
        (value_with(gpu={"names": "x", "driver": None, "cuda": None}), "no list of texts"),
        (value_with(checks={}), "checks is no list"),
        (value_with(checks=[{"kind": "x"}]), "is missing"),
        (
            value_with(checks=[{**json.loads(dump_proof(PROOF))["checks"][0], "status": "great"}]),
            r"checks\[0\].status is 'great'",
        ),
    ],
)
def test_strictly_read(tmp_path: Path, text: Any, told: str) -> None:
    path = tmp_path / "bnb.linux-64.proof.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(LockError, match=told) as caught:
        load_proof(path)
    assert caught.value.where == str(path)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="cannot be read"):
        load_proof(tmp_path / "gone")
    with pytest.raises(LockError, match="no regular file"):
        load_proof(tmp_path)
    path = tmp_path / "deep"
    path.write_text("[" * 100_000)
    with pytest.raises(LockError):
        load_proof(path)


def test_staleness() -> None:
    assert list(staleness(PROOF, LOCK)) == []
    built = dataclasses.replace(LOCK, built=BuiltImage(manifest=IMAGE, config=OTHER))
    assert list(staleness(PROOF, built)) == []
    other = dataclasses.replace(built, built=BuiltImage(manifest=OTHER, config=OTHER))
    assert list(staleness(PROOF, other)) == [f"the proof is of {IMAGE}, recorded is {OTHER}"]
    moved = dataclasses.replace(LOCK, spec={"python": "3.12"})
    assert list(staleness(PROOF, moved)) == ["the proof is of another state of the spec"]
    assert list(staleness(dataclasses.replace(PROOF, name="x"), LOCK)) == [
        "the proof is of x linux-64"
    ]
