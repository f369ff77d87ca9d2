"""Images whose layers have a limited size."""

from __future__ import annotations

import random
import shutil
import tarfile
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from envlock.errors import UsageError
from envlock.image.layout import ImageDigests
from envlock.layers.changed import artifact_bytes
from envlock.layers.gzipstream import StreamDigests
from envlock.layers.plan import plan_layers
from envlock.lock.model import BuiltImage, BuiltLayer
from envlock.pipeline import check_layers

from ..layers.making import make_wheel
from .making import Environment, check_layout, environment_of, make_debs, read_json

if TYPE_CHECKING:
    from pathlib import Path


def files(layout: Path) -> list[tuple[str, bytes]]:
    """Return all files, links and folders of all layers."""
    found = []
    (descriptor,) = read_json(layout / "index.json")["manifests"]
    for layer in read_json(layout / "blobs" / descriptor["digest"].replace(":", "/"))["layers"]:
        blob = layout / "blobs" / layer["digest"].replace(":", "/")
        with tarfile.open(blob, "r:gz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                found.append((member.name, content.read() if content else member.linkname.encode()))
    return sorted(set(found))  # each layer has the folders that it needs


def test_the_same_files_in_more_layers(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheels = [
        make_wheel(folder, f"w{n}", "1.0", {f"w{n}/data.bin": bytes(range(256)) * (n + 1)})
        for n in range(12)
    ]
    environment = environment_of(*wheels)
    usual = environment.build(tmp_path / "usual", tmp_path / "cache")
    assert len(usual.digests.layers) == 1
    total = sum(artifact.size for artifact in environment.lock.artifacts)
    limited = environment.with_image(layers={"max-size": total // 3})
    built = limited.build(tmp_path / "limited", tmp_path / "cache")
    assert len(built.digests.layers) > 3
    assert all(layer.size <= total // 3 for layer in built.digests.layers)
    check_layout(tmp_path / "limited")
    assert files(tmp_path / "limited") == files(tmp_path / "usual")


@pytest.fixture
def large(tmp_path: Path) -> Environment:
    """One wheel of 30 files, from 1 kB to 90 kB as they are compressed, and a small one."""
    noise = random.Random(5)
    sizes = [noise.randrange(1_000, 90_000) for _ in range(30)]
    data = {f"big/f{n}.bin": noise.randbytes(size) for n, size in enumerate(sizes)}
    points = "[console_scripts]\nbig = big:main\n"
    return environment_of(
        make_wheel(tmp_path / "wheels", "big", "1.0", data, entry_points=points),
        make_wheel(tmp_path / "wheels", "tiny", "1.0", {"tiny.py": b""}),
    )


def test_a_wheel_in_several_layers(large: Environment, tmp_path: Path) -> None:
    usual = large.build(tmp_path / "usual", tmp_path / "cache")
    limited = large.with_image(layers={"max-size": 200_000})
    built = limited.build(tmp_path / "limited", tmp_path / "cache")
    plans = plan_layers(limited.lock)
    count = len(plans) - 1
    assert [plan.title for plan in plans[:-1]] == [
        f"big 1.0, part {n} of {count}" for n in range(1, count + 1)
    ]
    assert count > 3
    assert all(layer.size <= 200_000 for layer in built.digests.layers)
    check_layout(tmp_path / "limited")
    assert files(tmp_path / "limited") == files(tmp_path / "usual")
    (wheel,) = {plan.artifacts for plan in plans[:-1]}
    assert [artifact_bytes(plan) for plan in plans[:-1]] == [wheel[0].size] + [0] * (count - 1)
    # a limit that nothing exceeds changes no byte
    wide = large.with_image(layers={"max-size": 9_000_000})
    assert wide.build(tmp_path / "wide", tmp_path / "cache").digests == usual.digests


def test_parts_that_are_known(large: Environment, tmp_path: Path) -> None:
    """From this machine's notes, from the lock's, and all anew."""
    limited = large.with_image(layers={"max-size": 200_000})
    first = limited.build(tmp_path / "first", tmp_path / "cache").digests
    shutil.rmtree(tmp_path / "first")
    assert limited.build(tmp_path / "again", tmp_path / "cache").digests == first
    layers = tuple(BuiltLayer(**asdict(layer)) for layer in first.layers)
    built = BuiltImage(manifest=first.manifest, config=first.config, layers=layers)
    recorded = Environment(replace(limited.lock, built=built), limited.paths)
    assert recorded.build(tmp_path / "told", tmp_path / "other").digests == first
    anew = recorded.build(tmp_path / "anew", tmp_path / "cache", fresh=True)
    assert anew.digests == first


def test_a_file_of_a_wheel_that_is_larger_than_the_limit(
    large: Environment, tmp_path: Path
) -> None:
    limited = large.with_image(layers={"max-size": 80_000})
    with pytest.raises(UsageError, match="smaller than a file") as caught:
        limited.build(tmp_path / "image", tmp_path / "cache")
    assert all(line.startswith("  big 1.0: big/f") for line in caught.value.details)
    assert not (tmp_path / "image").exists()


def test_parts_and_what_the_budget_leaves(large: Environment) -> None:
    with pytest.raises(UsageError, match="too small for layers of"):
        plan_layers(large.with_image(layers={"max-size": 200_000, "budget": 5}).lock)


def test_an_os_that_is_larger_than_the_limit(tmp_path: Path) -> None:
    environment = environment_of(*make_debs(tmp_path / "debs"), image={"layers": {"max-size": 99}})
    with pytest.raises(UsageError, match="max-size") as caught:
        environment.build(tmp_path / "image", tmp_path / "cache")
    assert "Debian bookworm" in caught.value.details[0]
    assert not (tmp_path / "image").exists()


def test_another_compression_keeps_to_the_limit(tmp_path: Path) -> None:
    """Plain tars are larger than what the limit was written for."""
    wheel = make_wheel(tmp_path / "wheels", "w", "1.0", {"w/data.bin": bytes(300_000)})
    environment = environment_of(wheel, image={"layers": {"max-size": 200_000}})
    environment.build(tmp_path / "image", tmp_path / "cache")
    with pytest.raises(UsageError, match="max-size"):
        environment.build(tmp_path / "plain", tmp_path / "cache", compression="none")
    assert not (tmp_path / "plain").exists()
    environment.build(tmp_path / "plain", tmp_path / "cache", compression="gzip")


def test_compiled_modules_keep_to_the_limit(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels", "w", "1.0", {"w.py": b""})
    lock = environment_of(wheel, image={"precompile": True, "layers": {"max-size": 1_000_000}}).lock
    small, large = (
        StreamDigests(digest="sha256:a", diff_id="sha256:b", size=size, plain_size=1)
        for size in (10, 3_000_000)
    )
    made = ImageDigests(manifest="m", config="c", layers=(small, large), size=0)
    with pytest.raises(UsageError, match="max-size") as caught:
        check_layers(lock, made)
    assert caught.value.details == ("  compiled modules (unchecked hash-based .pyc): 3.0 MB",)
