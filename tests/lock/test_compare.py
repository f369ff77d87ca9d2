"""What differs between two locks, where files of packages give way to another's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema

from envlock.cli.difference import as_data, as_markdown, as_text
from envlock.layers.changed import changed_layers
from envlock.lock.compare import compare
from envlock.lock.model import Kind, Lock, LockedOverride

from .locks import SPEC, conda, wheel

SCHEMA = Path(__file__).parents[2] / "src/envlock/cli/schemas/diff.json"
PATHS = ("lib/python3.11/site-packages/LICENSE", "lib/python3.11/site-packages/tests/x.py")


def lock(*gone: str, keeper: str = "two") -> Lock:
    """Return a lock in which these paths of a wheel, and one of a conda package, give way."""
    one = replace(wheel("one"), clobbered=tuple((path, keeper) for path in gone))
    other = conda("other", clobbered=(("bin/tool", "python"),))
    python = conda("python", "3.11.9")
    return Lock(
        name="a", platform="linux-64", spec=SPEC, artifacts=(other, python, one, wheel("two"))
    )


def test_files_that_give_way_come_and_go() -> None:
    old, new = lock(PATHS[0], keeper="old"), lock(*PATHS)
    found, layers = compare(old, new), changed_layers(old, new)
    assert found
    assert not found.packages
    text = [line for line in as_text("a", found, layers) if "clobber" in line]
    assert text == [
        f"  clobber: two's {PATHS[0]} is kept, one's left out (and 1 more)",
        f"  no longer so: clobber: old's {PATHS[0]} is kept, one's left out",
    ]
    assert "**Files at one path**" in [*as_markdown("a", found, layers)]
    data = {"title": "a", **as_data(found, layers)}
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate({"locks": [data]})
    assert data["clobbered"] == {
        "new": [{"path": path, "kept": "two", "lost": "one"} for path in PATHS],
        "gone": [{"path": PATHS[0], "kept": "old", "lost": "one"}],
    }
    assert [one.kind for one in layers.new] == ["rest"]


def test_the_same_files_are_no_difference() -> None:
    assert not compare(lock(*PATHS), lock(*PATHS))
    assert compare(None, lock()).clobbered[1] == compare(lock(), None).clobbered[0]
    assert json.dumps(as_data(compare(None, lock()), changed_layers(None, lock())))


def test_a_conda_package_and_a_distribution_of_one_name_have_an_override_each() -> None:
    def forced(version: str, kind: Kind) -> LockedOverride:
        return LockedOverride(package="numpy", version=version, voids=(), kind=kind)

    old = replace(lock(), overrides=(forced("1.26.0", "conda"), forced("1.25.0", "pypi")))
    new = replace(lock(), overrides=(forced("1.26.4", "conda"), forced("1.25.0", "pypi")))
    (change,) = compare(old, new).overrides
    assert (change.old, change.new) == (old.overrides[0], new.overrides[0])
