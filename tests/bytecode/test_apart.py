"""Wheels compiled one by one: what is read out of them, told apart afterwards, and kept."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from envlock.bytecode import inside
from envlock.bytecode.apart import Piece, divide, keep_wheels, lay_out, roots
from envlock.bytecode.records import contents, records
from envlock.errors import IntegrityError
from envlock.layers.plan import plan_layers
from envlock.layers.scheme import Scheme
from envlock.validate.layout import Descriptor, Layer

from ..image.making import artifact, make_environment
from ..makers.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Lock

SCHEME = Scheme(prefix="opt/env", python="3.11")


def layers_of(lock: Lock, *more: str) -> list[Layer]:
    """Return made-up layers for what is planned, ``more`` below them."""
    names = [*more, *(plan.title for plan in plan_layers(lock))]
    blob = Descriptor(media_type="x", digest="sha256:x", size=1)
    return [Layer(blob=blob, diff_id=name) for name in names]


def keys(lock: Lock, *more: str, version: int = 1) -> dict[str, str]:
    """Return the keys of an image's pieces; the one of what lies below wheels has no name."""
    found = divide(lock, layers_of(lock, *more), version)
    assert found is not None
    return {one.wheel.name if one.wheel else "": one.key for one in (found.base, *found.wheels)}


def test_a_wheels_key_depends_on_it_and_on_what_is_below(tmp_path: Path) -> None:
    environment = make_environment(tmp_path)
    lock = environment.lock
    before = keys(lock)
    assert len(set(before.values())) == 4
    other = make_wheel(tmp_path, "gamma", "0.2")
    changed = replace(
        lock,
        artifacts=tuple(artifact(other) if a.name == "gamma" else a for a in lock.artifacts),
    )
    after = keys(changed)
    assert {name for name in before if before[name] != after[name]} == {"gamma"}
    debs = replace(lock, artifacts=tuple(a for a in lock.artifacts if a.name != "tool"))
    for others in (keys(debs), keys(lock, "below"), keys(lock, version=2)):
        assert not set(before.values()) & set(others.values())


def test_a_file_that_gives_way_is_not_compiled(tmp_path: Path) -> None:
    environment = make_environment(tmp_path)
    lock, paths = environment.lock, environment.paths
    before = keys(lock)
    (gamma,) = (a for a in lock.artifacts if a.name == "gamma")
    names = lay_out(gamma, paths[gamma.sha256], SCHEME, tmp_path / "whole")
    gone = tuple((f"lib/python3.11/site-packages/{name}", "alpha") for name in names[:1])
    less = replace(gamma, clobbered=gone)
    after = keys(replace(lock, artifacts=tuple(less if a is gamma else a for a in lock.artifacts)))
    assert {name for name in before if before[name] != after[name]} == {"gamma"}
    assert lay_out(less, paths[gamma.sha256], SCHEME, tmp_path / "less") == names[1:]


def test_pythons_whose_modules_depend_on_each_other_are_not_divided(tmp_path: Path) -> None:
    lock = make_environment(tmp_path).lock
    for python in ("3.8", "3.10", "3.99"):
        other = replace(lock, spec={**lock.spec, "python": python})
        assert divide(other, layers_of(other), 1) is None


def test_the_interpreter_is_the_environments(tmp_path: Path) -> None:
    lock = make_environment(tmp_path).lock
    division = divide(lock, layers_of(lock), 1)
    assert division is not None
    assert division.python == "/usr/bin/python3.11"
    assert [layer.diff_id for layer in division.below] == ["Debian bookworm: 4 packages"]
    assert roots(lock) == ("/opt/env/lib/python3.11/site-packages", "stdlib")


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    shared = {"shared/__init__.py": "S = 1\n"}
    return [
        make_wheel(
            tmp_path,
            "one",
            "1.0",
            files={"one/__init__.py": "A = 1\n", "one/data.txt": "x", "bad.py": "def (", **shared},
            data={"scripts/tool.py": "#!python\n", "purelib/late.py": "L = 1\n"},
            entry_points={"console_scripts": {"one": "one:A"}},
        ),
        make_wheel(tmp_path, "two", "1.0", files={"two.py": "B = 2\n", **shared}),
        make_wheel(tmp_path, "none", "1.0", files={"none.txt": "no module"}),
    ]


def compiled_apart(wheels: list[Path], folder: Path) -> dict[str, tuple[Piece, Path]]:
    """Compile the wheels with this Python, laid out where they are compiled; by their names."""
    site, store, out = folder / "site", folder / "store", folder / "out"
    site.mkdir(parents=True)
    pieces = [Piece(key=f"{number:064}", wheel=artifact(one)) for number, one in enumerate(wheels)]
    laid_out = {
        piece: lay_out(artifact(one), one, SCHEME, site)
        for piece, one in zip(pieces, wheels, strict=True)
    }
    command = [sys.executable, "-S", inside.__file__, "1", str(out), "--", str(site)]
    subprocess.run(command, check=True)
    kept = keep_wheels(laid_out, [out], str(site), store)
    return {one.name.partition("-")[0]: (piece, kept[piece])
            for piece, one in zip(pieces, wheels, strict=True)}  # fmt: skip


def test_each_wheel_gets_its_own_modules(wheels: list[Path], tmp_path: Path) -> None:
    kept = compiled_apart(wheels, tmp_path / "work")
    site = str(tmp_path / "work" / "site")
    names = {name: sorted(one.source.removeprefix(f"{site}/") for one in records(file))
             for name, (_, file) in kept.items()}  # fmt: skip
    assert names == {
        "one": ["late.py", "one/__init__.py", "shared/__init__.py"],
        "two": ["shared/__init__.py", "two.py"],
        "none": [],
    }
    both = [dict(contents(records(kept[name][1]))) for name in ("one", "two")]
    shared = [next(data for one, data in some.items() if "shared" in one.path) for some in both]
    assert shared[0] == shared[1]


def test_what_was_kept_is_taken_as_long_as_it_is_whole(wheels: list[Path], tmp_path: Path) -> None:
    kept = compiled_apart(wheels, tmp_path / "work")
    store = tmp_path / "work" / "store"
    for piece, file in kept.values():
        assert piece.known(store) == file
        assert piece.known(tmp_path) is None
    piece, file = kept["one"]
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert piece.known(store) is None
    piece, file = kept["two"]
    file.with_suffix(".json").write_text("[]")
    assert piece.known(store) is None


def test_another_file_than_the_locked_one_is_not_read(wheels: list[Path], tmp_path: Path) -> None:
    locked = artifact(wheels[0])
    wheels[0].write_bytes(wheels[0].read_bytes() + b"\0")
    with pytest.raises(IntegrityError):
        lay_out(locked, wheels[0], SCHEME, tmp_path / "site")
    assert not (tmp_path / "site").exists()
