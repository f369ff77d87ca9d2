"""The lock's JSON Schema and its page: true of real locks, and whole."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from envlock.lock import base as below
from envlock.lock import model
from envlock.lock.base import GZIP, BaseBlob, BaseImage, BaseLayer
from envlock.lock.codec import dump_lock, lock_digest, parse_lock
from envlock.lock.model import (
    AcceptedBreakage,
    AuditSection,
    BuiltLayer,
    Lock,
    LockedOverride,
    VoidedRequirement,
)

from .locks import LOCK, VOID, conda, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "src/envlock/cli/schemas/lock.json").read_text())
PAGE = (ROOT / "docs/reference/lock.md").read_text()
CONDA = conda(
    "numpy",
    md5="0" * 32,
    constrains=("a >=1",),
    noarch="python",
    provides=(("numpy", "1.0"),),
    stands_for=(("numpy-core", "1.0"),),
    link_scripts=("bin/.numpy-post-link.sh",),
    track_features=("f",),
    license="BSD-3-Clause",
    python_site_packages_path="lib/python3.11/site-packages",
    clobbered=(("bin/f2py", "old-numpy"),),
)
LAYER = BuiltLayer(diff_id=f"sha256:{'3' * 64}", digest=f"sha256:{'4' * 64}", size=1, plain_size=2)
BASE = BaseImage(
    reference="registry.example.com/team/base:1",
    index=f"sha256:{'5' * 64}",
    manifest=f"sha256:{'6' * 64}",
    config=BaseBlob(digest=f"sha256:{'7' * 64}", size=3),
    layers=(BaseLayer(digest=LAYER.digest, diff_id=LAYER.diff_id, size=4, media_type=GZIP),),
    os="debian 12",
    glibc="2.36",
    cuda="12.4",
    python="/usr/bin/python3.11",
)
WHOLE = replace(
    LOCK,
    base=BASE,
    artifacts=(CONDA, *LOCK.artifacts, wheel("old", yanked="a bug", clobbered=(("bin/a", "a"),))),
    overrides=(
        *LOCK.overrides,
        LockedOverride(
            package="numpy",
            version="1.0",
            kind="conda",
            replaces="numpy",
            voids=(VoidedRequirement(dependent="a", version="1", requirement="b", kind="conda"),),
        ),
    ),
    excludes=(replace(LOCK.excludes[0], voids=(VOID,)),),
    audit=AuditSection(
        accepted=(AcceptedBreakage(override=None, pattern="a needs b", findings=("x",)),)
    ),
    built=replace(LOCK.built, layers=(LAYER,)) if LOCK.built else None,
    merged=True,
)
BARE = Lock(name="a", platform="linux-64", spec=LOCK.spec, artifacts=())


def wrong(text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(json.loads(text))]


def properties(node: Any) -> Iterator[str]:
    """Yield the names of all properties that a schema describes."""
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for value in node.values():
            yield from properties(value)
    elif isinstance(node, list):
        for value in node:
            yield from properties(value)


@pytest.mark.parametrize("lock", [LOCK, WHOLE, BARE], ids=["usual", "whole", "bare"])
def test_what_is_written_is_as_the_schema_says(lock: Lock) -> None:
    assert not wrong(dump_lock(lock))


@pytest.mark.parametrize("path", sorted((ROOT / "locks").glob("*.lock.json")), ids=lambda p: p.name)
def test_the_locks_of_this_project_are(path: Path) -> None:
    assert not wrong(path.read_text())


def test_another_field_is_wrong_at_every_place() -> None:
    """The schema is closed, but for what the spec asks."""
    value = json.loads(dump_lock(WHOLE))
    for place in (value, *value["artifacts"], *value["overrides"], value["debian"], value["base"]):
        place["surprise"] = 1
        assert wrong(json.dumps(value))
        del place["surprise"]
    assert not wrong(json.dumps(value))


def test_every_field_of_a_lock_is_in_the_schema() -> None:
    described = set(properties(SCHEMA))
    renamed = {"source"}  # index, archive or channel
    for name, made in [*vars(model).items(), *vars(below).items()]:
        if is_dataclass(made):
            missing = {field.name for field in fields(made)} - described - renamed
            assert not missing, f"{name}: {missing}"


def test_every_field_of_the_schema_is_on_the_page() -> None:
    told = {word for code in re.findall(r"`([^`\n]+)`", PAGE) for word in re.findall(r"\w+", code)}
    assert not set(properties(SCHEMA)) - told


def test_the_page_has_the_digest_that_provenance_names() -> None:
    path = ROOT / "locks" / "small.linux-64.lock.json"
    digest = lock_digest(parse_lock(path.read_text(), path.name)).removeprefix("sha256:")
    assert f"{digest}  -" in PAGE
