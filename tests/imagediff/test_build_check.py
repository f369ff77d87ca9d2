"""``envlock build --check`` where the image is not the recorded one."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from envlock.image.build import Workshop
from envlock.imagediff import DifferentImageError
from envlock.lock.codec import dump_lock, parse_lock
from envlock.lock.model import BuiltImage, BuiltLayer
from envlock.pipeline import Built, Expected, build
from envlock.progress import SILENT

from ..image.making import Environment, environment_of
from ..layers.making import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def make(folder: Path, answer: bytes) -> Environment:
    folder.mkdir(parents=True)
    return environment_of(
        make_wheel(folder, "alpha", "1.0", {"alpha.py": b"ANSWER = " + answer + b"\n"}),
        make_wheel(folder, "beta", "1.0", {"beta.py": b"B = 1\n"}),
    )


def recorded(environment: Environment, built: Built, *, layers: bool) -> Environment:
    known = [BuiltLayer(**asdict(layer)) for layer in built.digests.layers] if layers else []
    image = BuiltImage(
        manifest=built.digests.manifest, config=built.digests.config, layers=tuple(known)
    )
    return Environment(replace(environment.lock, built=image), environment.paths)


def checked(environment: Environment, target: Path, **expected: Any) -> DifferentImageError:
    workshop = Workshop(cache=target.parent / "other-cache", workers=1, fresh=True)
    with pytest.raises(DifferentImageError) as caught:
        build(
            environment.lock, environment.paths, target, workshop, SILENT,
            prove=None, expect=Expected(**expected),
        )  # fmt: skip
    return caught.value


def two(tmp_path: Path, *, layers: bool = True) -> Environment:
    """Return an environment whose lock records the image of another one, which is at ``image``."""
    first = make(tmp_path / "first", b"42")
    built = first.build(tmp_path / "image", tmp_path / "cache")
    return recorded(make(tmp_path / "second", b"43"), built, layers=layers)


WHAT = "    opt/env/lib/python3.11/site-packages/alpha.py: another content (12 bytes; 1 range)"


def test_the_recorded_image_at_the_target_is_compared_with(tmp_path: Path) -> None:
    environment = two(tmp_path)
    before = (tmp_path / "image" / "index.json").read_bytes()
    error = checked(environment, tmp_path / "image")
    assert WHAT in error.details
    assert "      byte 10: '2' recorded, '3' built" in error.details
    assert error.data is not None
    (layer,) = error.data["difference"]["layers"]
    files = {file["path"]: file for file in layer["files"]}
    changed = files["opt/env/lib/python3.11/site-packages/alpha.py"]
    assert changed["ranges"] == [
        {"start": 10, "end": 11, "recorded": b"2".hex(), "built": b"3".hex()}
    ]
    assert (tmp_path / "image" / "index.json").read_bytes() == before
    json.dumps(error.data)


def test_or_one_that_is_named_or_near(tmp_path: Path) -> None:
    environment = two(tmp_path)
    target = tmp_path / "out" / "image"
    assert WHAT in checked(environment, target, near=(tmp_path / "image",)).details
    assert WHAT in checked(environment, target, against=tmp_path / "image").details
    assert not target.exists()


def test_without_one_the_lock_names_the_layer(tmp_path: Path) -> None:
    error = checked(two(tmp_path), tmp_path / "out" / "image")
    assert any(line.startswith("  layer 1: sha256:") for line in error.details)
    assert error.hint is not None
    assert "--against" in error.hint


def test_a_lock_of_before_has_digests_alone(tmp_path: Path) -> None:
    error = checked(two(tmp_path, layers=False), tmp_path / "out" / "image")
    assert len(error.details) == 2


def test_an_image_of_something_else_is_told(tmp_path: Path) -> None:
    environment = two(tmp_path)
    third = make(tmp_path / "third", b"44")
    third.build(tmp_path / "third-image", tmp_path / "cache")
    error = checked(environment, tmp_path / "out" / "image", against=tmp_path / "third-image")
    assert any("which is not the recorded one, too" in line for line in error.details)


def test_layers_in_the_lock(tmp_path: Path) -> None:
    lock = two(tmp_path).lock
    again = parse_lock(dump_lock(lock), "a")
    assert again == lock
    assert again.built is not None
    assert len(again.built.layers) == 1
    bare = replace(lock, built=replace(again.built, layers=()))
    assert '"layers"' not in dump_lock(bare)
    assert parse_lock(dump_lock(bare), "a") == bare
