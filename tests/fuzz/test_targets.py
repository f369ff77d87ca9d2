"""The fuzzers' targets on what is valid, on what once went wrong, and on a few mutations."""

from __future__ import annotations

import io
import random

import pytest

from envlock.errors import ArtifactError
from envlock.layers.tarreader import read_members

from ..layers_deb.making import Item, tar
from .mutate import mutated
from .seeds import seeds
from .targets import TARGETS, run

ROUNDS = 150


def test_every_target_has_seeds() -> None:
    assert set(seeds()) == set(TARGETS)


@pytest.mark.parametrize(
    "record", [b"0 a=b\n12", b"2 a=b\n", b"99 a=b\n", b"5020 size=" + b"9" * 5009 + b"\n"]
)
def test_pax_records_that_lie(record: bytes) -> None:
    header = bytearray(tar([Item("p", record)])[:512])
    header[156:157] = b"x"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data = bytes(header) + record + bytes(-len(record) % 512)
    with pytest.raises(ArtifactError, match="PAX"):
        list(read_members(io.BytesIO(data + tar([Item("p", b"x")])), pax=True))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_target_takes_what_is_valid(name: str) -> None:
    assert run(name, seeds()[name][0])


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_is_wrong_is_refused_and_nothing_else_happens(name: str) -> None:
    pool, dice = seeds()[name], random.Random(name)
    for data in pool:
        run(name, data)
    for _ in range(ROUNDS):
        run(name, mutated(dice.choice(pool), pool, dice))
