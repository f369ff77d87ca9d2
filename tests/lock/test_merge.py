"""Locks joined: what is unambiguous is taken, what is not is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import LockError
from envlock.lock.merge import merge
from envlock.lock.model import AcceptedBreakage, AuditSection, Lock

from .locks import BELOW, LOCK, SPEC, deb, wheel

BASE = replace(LOCK, built=None, audit=AuditSection())


def _spec(**changes: Any) -> dict[str, Any]:
    return {**SPEC, **changes}


def _with(lock: Lock, *wheels: Any, without: str = "") -> Lock:
    names = {one.name for one in wheels} | {without}
    kept = [one for one in lock.artifacts if one.kind == "debian" or one.name not in names]
    artifacts = sorted((*kept, *wheels), key=lambda a: (a.kind, a.name, a.file))
    return replace(lock, artifacts=tuple(artifacts))


def _versions(lock: Lock) -> dict[str, str]:
    return {one.name: one.version for one in lock.artifacts}


def test_what_one_side_solved_is_taken_as_it_is() -> None:
    ours = replace(BASE, spec=_spec(image={"env": {"A": "1"}}))
    theirs = replace(
        _with(BASE, wheel("numpy", "2.0"), wheel("new")),
        spec=_spec(pypi={"dependencies": ["new", "torch>=2.6"]}),
        audit=AuditSection(accepted=(AcceptedBreakage(override=None, pattern="x", findings=()),)),
    )
    for one, other in ((ours, theirs), (theirs, ours)):
        found = merge(BASE, one, other)
        assert found.conflicts == ()
        assert found.lock == replace(theirs, spec={**theirs.spec, "image": {"env": {"A": "1"}}})


def test_what_both_sides_solved_is_joined_and_says_so() -> None:
    ours = replace(
        _with(BASE, wheel("numpy", "2.0"), wheel("one")),
        spec=_spec(pypi={"dependencies": ["one", "torch>=2.6"]}),
    )
    theirs = replace(
        _with(BASE, wheel("two"), without="triton"),
        spec=_spec(pypi={"dependencies": ["torch>=2.6", "two"]}),
        overrides=(),
    )
    found = merge(BASE, ours, theirs)
    assert found.conflicts == ()
    assert found.lock.merged
    assert found.lock.overrides == ()
    assert found.lock.spec["pypi"] == {"dependencies": ["one", "torch>=2.6", "two"]}
    wanted = {"gcc": "1.0-1", "libc6": "1.0-1", "numpy": "2.0", "torch": "2.6.0"}
    assert _versions(found.lock) == {**wanted, "one": "1.0", "two": "1.0"}


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (
            _with(BASE, wheel("numpy", "2.0")),
            _with(BASE, wheel("numpy", "2.1")),
            "numpy: 2.0 in ours, 2.1 in theirs",
        ),
        (
            _with(BASE, wheel("numpy", "2.0")),
            _with(BASE, without="numpy"),
            "numpy: 2.0 in ours, gone in theirs",
        ),
        (
            replace(BASE, spec=_spec(python="3.12")),
            replace(BASE, spec=_spec(python="3.13")),
            "python: 3.12 in ours, 3.13 in theirs",
        ),
        (
            replace(BASE, spec=_spec(pypi={"dependencies": ["torch>=2.7"]})),
            replace(BASE, spec=_spec(pypi={"dependencies": ["torch<3"]})),
            "pypi.dependencies: torch: torch>=2.7 in ours, torch<3 in theirs",
        ),
        (
            replace(BASE, artifacts=(*BASE.artifacts, deb("one"))),
            replace(BASE, artifacts=(*BASE.artifacts, deb("two"), deb("zwei"))),
            "the Debian packages: 3 of 20250520 in ours, 4 of 20250520 in theirs",
        ),
    ],
)
def test_what_both_sides_changed_is_told_and_ours_is_taken(
    ours: Lock, theirs: Lock, told: str
) -> None:
    found = merge(BASE, ours, theirs)
    assert found.conflicts == (told,)
    assert found.lock.merged
    assert _versions(found.lock) == _versions(ours)
    assert found.lock.spec == ours.spec


def test_an_override_is_joined_key_by_key() -> None:
    one = {"package": "triton", "version": "==2.3.1", "because": "x", "accepts": ["a needs b"]}
    base = replace(BASE, spec=_spec(overrides=[one]))
    ours = replace(BASE, spec=_spec(overrides=[{**one, "accepts": ["a needs b", "c needs d"]}]))
    more = {"package": "yaml", "version": "==6"}
    theirs = replace(BASE, spec=_spec(overrides=[{**one, "until": "bnb>=1"}, more]))
    found = merge(base, ours, theirs)
    assert found.conflicts == ()
    joined = {**one, "accepts": ["a needs b", "c needs d"], "until": "bnb>=1"}
    assert found.lock.spec["overrides"] == [joined, more]
    gone = merge(base, ours, replace(BASE, spec=SPEC))
    assert gone.conflicts == ("overrides.triton (from pypi): changed in ours, gone in theirs",)


def test_two_locks_without_an_ancestor() -> None:
    assert merge(None, BASE, BASE).lock == BASE
    found = merge(None, BASE, _with(BASE, wheel("numpy", "2.0"), wheel("new")))
    assert found.conflicts == ("numpy: 1.0 in ours, 2.0 in theirs",)
    assert "new" in _versions(found.lock)


def test_a_recorded_digest_stays_with_what_it_is_of() -> None:
    recorded = replace(BASE, built=LOCK.built)
    tested = replace(BASE, spec=_spec(checks=[{"import": "torch"}]))
    assert merge(BASE, recorded, tested).lock.built == LOCK.built
    assert merge(BASE, tested, recorded).lock.built == LOCK.built
    moved = _with(BASE, wheel("numpy", "2.0"))
    assert merge(BASE, recorded, moved).lock.built is None


def test_a_mark_goes_with_the_solve_that_looked() -> None:
    marked = replace(BASE, merged=True)
    assert not merge(
        marked, BASE, replace(marked, spec=_spec(checks=[{"import": "a"}]))
    ).lock.merged
    assert merge(BASE, marked, _with(BASE, wheel("new"))).lock.merged


def test_a_base_image_goes_with_the_spec_that_names_it() -> None:
    old = replace(BASE, spec=_spec(image={"base": BELOW.reference}), base=BELOW)
    moved = replace(old, base=replace(BELOW, manifest=f"sha256:{'5' * 64}"))
    theirs = _with(old, wheel("new"))
    for one, other in ((moved, theirs), (theirs, moved)):
        found = merge(old, one, other)
        assert (found.conflicts, found.lock.base, found.lock.merged) == ((), moved.base, True)
        assert "new" in _versions(found.lock)
    again = replace(old, base=replace(BELOW, manifest=f"sha256:{'6' * 64}"))
    (conflict,) = merge(old, moved, again).conflicts
    assert conflict.startswith("the base image: sha256:555")


def test_locks_of_two_environments_are_no_pair() -> None:
    with pytest.raises(LockError, match="different environments"):
        merge(BASE, BASE, replace(BASE, name="b"))


_locks = st.builds(
    lambda versions, names: replace(
        _with(BASE, *(wheel(f"p{i}", v) for i, v in enumerate(versions) if v)),
        spec=_spec(pypi={"dependencies": sorted(names)}),
    ),
    st.lists(st.sampled_from(["", "1", "2"]), min_size=4, max_size=4),
    st.sets(st.sampled_from(["a", "b>=1", "c"])),
)


@given(_locks, _locks, _locks)
def test_sides_are_equal_and_nothing_is_invented(base: Lock, ours: Lock, theirs: Lock) -> None:
    found, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert len(found.conflicts) == len(other.conflicts)
    if not found.conflicts:
        assert found.lock == other.lock
    known = {*base.artifacts, *ours.artifacts, *theirs.artifacts}
    assert set(found.lock.artifacts) <= known
    assert merge(base, ours, base).lock == ours == merge(base, base, ours).lock
