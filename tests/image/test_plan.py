"""Which artifacts share a layer: budget, order, and what a change touches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envlock.errors import UsageError
from envlock.layers.changed import changed_layers
from envlock.layers.parts import check_sizes
from envlock.layers.plan import LARGE, LayerPlan, image_layers, plan_layers
from envlock.lock.base import GZIP, BaseBlob, BaseImage, BaseLayer
from envlock.lock.model import Artifact, Lock


def package(name: str, size: int, kind: Any = "pypi", version: str = "1") -> Artifact:
    return Artifact(
        kind=kind,
        name=name,
        version=version,
        source="x",
        file=f"{name}.x",
        path=f"{name}.x",
        sha256=(f"{name}{version}".encode().hex() + "0" * 64)[:64],
        size=size,
    )


def lock_of(*artifacts: Artifact, **image: Any) -> Lock:
    spec: dict[str, Any] = {
        "python": "3.11",
        "platform": {"glibc": "2.36"},
        "debian": {"suite": "bookworm"},
        "image": image,
    }
    return Lock(name="x", platform="linux-64", spec=spec, artifacts=artifacts)


def shape(plans: tuple[LayerPlan, ...]) -> list[tuple[str, list[str]]]:
    return [(plan.kind, [artifact.name for artifact in plan.artifacts]) for plan in plans]


SMALL = [package(f"small{n}", 1000 + n) for n in range(5)]
BIG = [package(name, LARGE + n) for n, name in enumerate(["delta", "alpha", "carol", "bob"])]
DEBS = [package(f"deb{n}", 9 * LARGE, "debian") for n in range(3)]


def test_one_layer_for_the_os_one_for_each_large_and_one_for_the_rest() -> None:
    assert shape(plan_layers(lock_of(*DEBS, *BIG, *SMALL))) == [
        ("os", ["deb0", "deb1", "deb2"]),
        ("distribution", ["alpha"]),
        ("distribution", ["bob"]),
        ("distribution", ["carol"]),
        ("distribution", ["delta"]),
        ("rest", [a.name for a in SMALL]),
    ]


def test_the_limit_is_inclusive() -> None:
    just, below = package("just", LARGE), package("below", LARGE - 1)
    assert shape(plan_layers(lock_of(just, below))) == [
        ("distribution", ["just"]),
        ("rest", ["below"]),
    ]


@pytest.mark.parametrize("budget", range(2, 9))
def test_the_budget_is_kept_and_the_largest_stay_alone(budget: int) -> None:
    plans = plan_layers(lock_of(*DEBS, *BIG, *SMALL, layers={"budget": budget}))
    assert len(plans) == min(budget, 6)
    alone = {plan.artifacts[0].name for plan in plans if plan.kind == "distribution"}
    assert alone == set(["bob", "carol", "alpha", "delta"][: budget - 2])
    everything = [artifact for plan in plans for artifact in plan.artifacts]
    assert sorted(everything, key=str) == sorted([*DEBS, *BIG, *SMALL], key=str)


@pytest.mark.parametrize(("debs", "least"), [(DEBS, 2), ([], 1)])
def test_too_small_a_budget_is_refused(debs: list[Artifact], least: int) -> None:
    plan_layers(lock_of(*debs, *SMALL, layers={"budget": least}))
    with pytest.raises(UsageError, match="budget") as caught:
        plan_layers(lock_of(*debs, *SMALL, layers={"budget": least - 1}))
    assert caught.value.hint


def test_many_large_ones_stay_below_what_engines_can_stack() -> None:
    many = [package(f"p{n}", LARGE * 2 + n) for n in range(200)]
    assert len(plan_layers(lock_of(*DEBS, *many))) == 40


def keys(*artifacts: Artifact, **image: Any) -> dict[str, str]:
    return {
        f"{plan.kind} {plan.artifacts[0].name if plan.kind == 'distribution' else ''}": plan.key
        for plan in plan_layers(lock_of(*artifacts, **image))
    }


def changed(one: dict[str, str], two: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}


@pytest.mark.parametrize(
    ("place", "layer"),
    [(0, "os "), (3, "distribution delta"), (7, "rest ")],
)
def test_a_change_of_one_package_changes_one_layer(place: int, layer: str) -> None:
    before = [*DEBS, *BIG, *SMALL]
    old = before[place]
    after = before.copy()
    after[place] = package(old.name, old.size + 1, old.kind, version="2")
    assert changed(keys(*before), keys(*after)) == {layer}


def test_a_new_package_changes_its_own_layer_alone() -> None:
    before = [*DEBS, *BIG, *SMALL]
    assert changed(keys(*before), keys(*before, package("new", LARGE))) == {"distribution new"}
    assert changed(keys(*before), keys(*before, package("new", 1))) == {"rest "}


def test_image_settings_change_at_most_the_environments_layer() -> None:
    before = [*DEBS, *BIG, *SMALL]
    for image in ({"user": "nonroot"}, {"workdir": "/x"}):
        assert changed(keys(*before), keys(*before, **image)) == {"rest "}
    others: list[dict[str, Any]] = [{"env": {"A": "b"}}, {"command": ["x"]}, {"labels": {"a": "b"}}]
    for other in others:
        assert changed(keys(*before), keys(*before, **other)) == set()


def test_everything_that_decides_the_bytes_is_in_the_key() -> None:
    lock = lock_of(*DEBS, *BIG, *SMALL)
    first = {plan.kind: plan.key for plan in plan_layers(lock)}
    other = replace(lock, spec={**lock.spec, "python": "3.12"})
    second = {plan.kind: plan.key for plan in plan_layers(other)}
    assert {kind for kind in first if first[kind] != second[kind]} == {"distribution", "rest"}
    debian = {"suite": "bookworm", "alternatives": {"/usr/bin/cc": "tcc"}}
    third = {
        p.kind: p.key for p in plan_layers(replace(lock, spec={**lock.spec, "debian": debian}))
    }
    assert {kind for kind in first if first[kind] != third[kind]} == {"os"}
    arm = {plan.kind: plan.key for plan in plan_layers(replace(lock, platform="linux-aarch64"))}
    assert first["os"] != arm["os"]


def test_titles_tell_what_a_layer_holds() -> None:
    titles = [plan.title for plan in plan_layers(lock_of(*DEBS, *BIG, *SMALL))]
    assert titles[0] == "Debian bookworm: 3 packages"
    assert titles[1] == "alpha 1"
    assert titles[-1] == "5 small distributions and the environment at /opt/env"


def test_keys_are_golden() -> None:
    """A change of a key without a change of PACKER would only cost time; it should be meant."""
    plans = plan_layers(lock_of(*DEBS, *BIG[:1], *SMALL))
    assert len({plan.key for plan in plans}) == len(plans)
    assert all(len(plan.key) == 64 for plan in plans)


def test_an_environment_without_anything() -> None:
    assert shape(plan_layers(lock_of())) == [("rest", [])]


SIZES = st.one_of(st.integers(0, LARGE // 8), st.integers(LARGE - 5, LARGE + 5))
KINDS = st.sampled_from(["pypi", "conda"])
ENVIRONMENTS = st.dictionaries(st.integers(0, 99), st.tuples(KINDS, SIZES), max_size=30)


def all_keys(described: dict[int, tuple[Any, int]], version: str, **image: Any) -> set[str]:
    items = [
        package(f"p{number}", size, kind, version if number == 50 else "1")
        for number, (kind, size) in sorted(described.items())
    ]
    return {plan.key for plan in plan_layers(lock_of(*DEBS, *items, **image))}


@settings(max_examples=150, deadline=None)
@given(ENVIRONMENTS, KINDS, SIZES, st.sampled_from([4, 8, 40]), st.booleans())
def test_one_package_more_or_less_or_newer_touches_few_layers(
    others: dict[int, tuple[Any, int]],
    kind: Any,
    size: int,
    budget: int,
    limited: bool,
) -> None:
    """With any budget, and with layers of a limited size: the others stay as they are.

    At most the set of its kind goes, and what must make room for it or gets its room.
    """
    others.pop(50, None)
    image = {"layers": {"budget": budget}}
    if limited:
        image = {"layers": {"budget": 120, "max-size": 2 * LARGE}}
    without = all_keys(others, "1", **image)
    with_it = all_keys({**others, 50: (kind, size)}, "1", **image)
    newer = all_keys({**others, 50: (kind, size)}, "2", **image)
    most = 2 if limited else 4  # conda's small ones, the small wheels, its own, and another's
    assert len(without - with_it) <= most
    assert len(with_it - newer) == len(newer - with_it) == 1


def test_layers_of_a_limited_size() -> None:
    many = [package(f"p{n}", 1000) for n in range(100)]
    plans = plan_layers(lock_of(*DEBS, *many, layers={"max-size": 10_000}))
    assert plans[0].kind == "os"
    assert (plans[-1].kind, plans[-1].artifacts) == ("rest", ())
    sizes = [sum(item.size for item in plan.artifacts) for plan in plans[1:-1]]
    assert all(0 < size <= 10_000 for size in sizes)
    assert len(sizes) < 30
    together = sorted(item.name for plan in plans[1:-1] for item in plan.artifacts)
    assert together == sorted(item.name for item in many)


def test_a_limit_that_nothing_exceeds_changes_nothing() -> None:
    usual = plan_layers(lock_of(*DEBS, *BIG, *SMALL))
    limited = plan_layers(lock_of(*DEBS, *BIG, *SMALL, layers={"max-size": 10**10}))
    assert [plan.key for plan in limited] == [plan.key for plan in usual]


def test_a_wheel_larger_than_the_limit_is_in_parts() -> None:
    torch, other = package("torch", 766), package("other", 300)
    plans = plan_layers(lock_of(torch, other, layers={"max-size": 500}))
    assert [plan.title for plan in plans[:-1]] == [f"torch 1, part {n} of 4" for n in range(1, 5)]
    assert plans[-1].artifacts == (other,)
    assert len({plan.key for plan in plans}) == len(plans)
    again = plan_layers(lock_of(torch, layers={"max-size": 500}))
    assert again[:-1] == plans[:-1]  # whatever else there is


def test_a_layer_that_came_out_larger_is_refused() -> None:
    check_sizes([("one", 2_000_000)], None)
    check_sizes([("one", 2_000_000)], 2_000_000)
    with pytest.raises(UsageError, match="max-size") as caught:
        check_sizes([("one", 2_000_000), ("two", 5)], 1_999_999)
    assert caught.value.details == ("  one: 2.0 MB",)


def test_the_budget_has_room_for_compiled_modules() -> None:
    lock = lock_of(*DEBS, *BIG, *SMALL, layers={"budget": 4})
    assert len(plan_layers(lock)) == 4
    image = {**lock.spec["image"], "precompile": True}
    assert len(plan_layers(replace(lock, spec={**lock.spec, "image": image}))) == 3
    image["layers"] = {"budget": 2}
    with pytest.raises(UsageError, match="budget: 2 is too small") as caught:
        plan_layers(replace(lock, spec={**lock.spec, "image": image}))
    assert "at least 3" in str(caught.value.hint)


def test_compiled_modules_change_with_what_is_below_them() -> None:
    lock = lock_of(*DEBS, *BIG, *SMALL)
    compiled = replace(
        lock, spec={**lock.spec, "image": {**lock.spec["image"], "precompile": True}}
    )
    plain, whole = image_layers(lock), image_layers(compiled)
    assert plain == plan_layers(lock)
    assert (whole[:-1], whole[-1].kind) == (plain, "compiled")
    changes = changed_layers(lock, compiled)
    assert (changes.new, changes.kept, changes.gone) == ((whole[-1],), plain, ())
    assert changed_layers(compiled, lock).gone == (whole[-1],)
    assert changed_layers(compiled, compiled).new == ()
    less = replace(compiled, artifacts=compiled.artifacts[:-1])
    assert "compiled" in {layer.kind for layer in changed_layers(compiled, less).new}
    bases = [replace(compiled, base=base_of(number)) for number in range(2)]
    assert [one.kind for one in changed_layers(*bases).new] == ["compiled"]


def base_of(number: int) -> BaseImage:
    digest = f"sha256:{number:064x}"
    layer = BaseLayer(digest=digest, diff_id=digest, size=1, media_type=GZIP)
    return BaseImage(
        reference="r.example.com/base:v1", index=digest, manifest=digest,
        config=BaseBlob(digest=digest, size=1), layers=(layer,), os="debian 12", glibc="2.36",
        python="/usr/bin/python3.11",
    )  # fmt: skip


def test_more_parts_than_the_budget_allows() -> None:
    many = [package(f"p{n}", 1000) for n in range(100)]
    with pytest.raises(UsageError, match="budget: 5 is too small"):
        plan_layers(lock_of(*many, layers={"max-size": 10_000, "budget": 5}))
