"""The fuzzers' targets on what is valid, on what once went wrong, and on a few mutations."""

from __future__ import annotations

import random

import pytest

from .mutate import mutated
from .seeds import seeds
from .targets import TARGETS, run

ROUNDS = 150


def test_every_target_has_seeds() -> None:
    assert set(seeds()) == set(TARGETS)


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
