"""``--cache-from`` with conda packages: recorded layers come alone, and nobody else decides."""

from __future__ import annotations

import contextlib
import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from envlock.errors import ArtifactError, LockError
from envlock.fetch.store import Store
from envlock.image.absent import read_recorded
from envlock.layers.plan import plan_layers
from envlock.lock.codec import dump_lock, load_lock

from ..container.judges import need
from ..container.judges import registry as debians_registry
from ..image.making import check_layout, read_json
from ..lock.locks import LOCK
from ..makers.conda import Program, index_channel, make_conda
from ..makers.index import Index
from ..makers.machine import NOWHERE, Machine
from ..makers.registry import Registry
from .test_layer_cache import build, digest_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from envlock.lock.model import Lock

AWAY = {
    "ENVLOCK_INDEX_PYPI": NOWHERE,
    "ENVLOCK_MIRROR_DEBIAN": "http://127.0.0.1:9/debian",
    "ENVLOCK_CHANNELS": "http://127.0.0.1:9",
}
"""Where nothing can be fetched from."""

SPEC = """\
conda:
  channels: [main]
  dependencies: [tool]
pypi:
  dependencies: [app]
image:
  env: {TOOL_MODE: slow}
"""


@dataclass
class World:
    """A machine whose environment was built, recorded and put into a registry's cache."""

    machine: Machine
    registry: Registry
    digest: str
    lock: Lock
    folders: Iterator[int]

    @property
    def cache(self) -> str:
        return f"{self.registry.address}/team/layers"

    @property
    def config(self) -> str:
        assert self.lock.built is not None
        return self.lock.built.config

    def layer(self, kind: str) -> str:
        """Return the digest of the first layer of a kind."""
        assert self.lock.built is not None
        layers = zip(plan_layers(self.lock), self.lock.built.layers, strict=True)
        return next(layer.digest for plan, layer in layers if plan.kind == kind)

    @contextlib.contextmanager
    def poisoned(self, digest: str, data: bytes | None) -> Iterator[None]:
        """Let the cache have other bytes under a digest, or none."""
        blobs = self.registry.repository("team/layers").blobs
        held = blobs.pop(digest)
        if data is not None:
            blobs[digest] = data
        try:
            yield
        finally:
            blobs[digest] = held

    def build(self, *more: str, **how: Any) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Build with the registry's cache and an empty one of this machine's."""
        number = next(self.folders)
        how = {"cache": f"empty{number}", **how}
        target = self.machine.project / f"image{number}"
        words = ("--cache-from", self.cache, "-o", str(target), *more)
        return build(self.machine, *words, **how), target


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[World]:
    """One environment of a .deb, two conda packages, of which one sets variables, and a wheel."""
    folder = tmp_path_factory.mktemp("world")
    channel = folder / "channels" / "main"
    make_conda(channel, "base-data", "1.0", files={"share/base": "base\n"})
    make_conda(
        channel,
        "tool",
        "1.2",
        depends=["base-data >=1"],
        files={
            "bin/tool": Program("#!/bin/sh\n"),
            "etc/conda/env_vars.d/tool.json": '{"TOOL_MODE": "fast", "TOOL_TEXT": "a=b"}',
            "etc/conda/activate.d/tool.sh": 'export TOOL_HOME="$CONDA_PREFIX/share"\n',
        },
    )
    index_channel(channel)
    with Registry() as registry, Index(folder / "index") as index:
        index.folders |= {"conda": folder / "channels", "debian": mirror}
        index.wheel("app", "1.0", files={"app/__init__.py": "V = 1\n"}, offer={"metadata": True})
        machine = Machine(
            folder / "machine",
            {
                "ENVLOCK_INDEX_PYPI": index.url,
                "ENVLOCK_MIRROR_DEBIAN": f"{index.base}/debian",
                "ENVLOCK_KEYRING_DEBIAN": str(mirror.parent / "keyring.gpg"),
                "ENVLOCK_CHANNELS": f"{index.base}/conda",
            },
        )
        machine.write_spec("one", SPEC)
        done = machine.run("solve", "--no-audit")
        assert done.returncode == 0, done.stderr
        first = build(machine, "--record", "--cache-to", f"{registry.address}/team/layers")
        assert "3 layers sent, 0 there already" in first.stderr
        lock = load_lock(machine.lock("one"))
        yield World(machine, registry, first.stdout.strip(), lock, itertools.count())


def variables(layout: Path) -> dict[str, str]:
    """Return the variables of an image's environment."""
    (descriptor,) = read_json(layout / "index.json")["manifests"]
    blobs = layout / "blobs" / "sha256"
    manifest = read_json(blobs / descriptor["digest"].removeprefix("sha256:"))
    config = read_json(blobs / manifest["config"]["digest"].removeprefix("sha256:"))
    return dict(line.split("=", 1) for line in config["config"]["Env"])


def test_recorded_conda_layers_come_without_their_packages(world: World) -> None:
    done, image = world.build(environ=AWAY)
    assert done.stdout.strip() == check_layout(image) == world.digest
    assert re.search(
        r"layers: 3 layers taken \(.+B\), 0 there already, 0 to be made\n", done.stderr
    )
    found = variables(image)
    assert found["TOOL_MODE"] == "slow"  # the spec's word
    assert (found["TOOL_TEXT"], found["TOOL_HOME"]) == ("a=b", "/opt/env/share")
    dated, later = world.build(environ={**AWAY, "SOURCE_DATE_EPOCH": "1700000000"})
    assert dated.stdout.strip() != world.digest
    assert variables(later) == found


@pytest.mark.parametrize("what", ["config", "conda"])
@pytest.mark.parametrize("how", ["lie", "gone"])
def test_nothing_in_a_cache_changes_the_image(world: World, what: str, how: str) -> None:
    digest = world.config if what == "config" else world.layer("conda")
    blobs = world.registry.repository("team/layers").blobs
    lie = blobs[digest].replace(b"TOOL_TEXT=a=b", b"TOOL_TEXT=a=c")
    if what == "conda":
        lie = b"evil" + lie[4:]
    assert (len(lie), lie != blobs[digest]) == (len(blobs[digest]), True)
    with world.poisoned(digest, lie if how == "lie" else None):
        done, _ = world.build()
    assert ("layers are made here instead" in done.stderr) is (how == "lie")
    told = re.search(r", 0 there already, ([1-3]) to be made\n", done.stderr)
    assert told is not None
    assert how == "lie" or told[1] == "1"  # a lie stops what is under way besides
    assert done.stdout.strip() == world.digest


def test_what_is_made_here_is_held_against_the_record(world: World) -> None:
    """A layer's packages are here, and not the others': the image can only be the recorded one."""
    (wheel,) = world.lock.of_kind("pypi")
    file = Store(world.machine.cache).get(wheel.sha256, wheel.size)
    assert file is not None
    Store(world.machine.root / "bare").add([file.read_bytes()], wheel.sha256, wheel.size)
    with world.poisoned(world.layer("rest"), None):
        done, _ = world.build(cache="bare", environ=AWAY)
    assert done.stdout.strip() == world.digest


def test_a_record_of_something_else(world: World) -> None:
    """What the lock asks for goes over what it records, and both have to agree."""
    image = {**world.lock.spec["image"], "env": {"TOOL_MODE": "slower"}}
    changed = replace(world.lock, spec={**world.lock.spec, "image": image})
    file = world.machine.lock("one")
    kept = file.read_text()
    file.write_text(dump_lock(changed))
    try:
        done, _ = world.build(environ=AWAY, code=1)
    finally:
        file.write_text(kept)
    assert "records another configuration of the image than it asks for" in done.stderr


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"rootfs": {"diff_ids": []}, "created": 7}', "is no time"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"config": {"Env": {}}, "rootfs": {"diff_ids": []}}', "no list of texts"),
    ],
)
def test_a_recorded_configuration_is_read_with_care(data: bytes, said: str) -> None:
    assert LOCK.built is not None
    with pytest.raises(LockError, match="is not the recorded one"):
        read_recorded(LOCK, data)
    built = replace(LOCK.built, config=digest_of(data))
    with pytest.raises(ArtifactError, match=said):
        read_recorded(replace(LOCK, built=built), data)


@pytest.mark.container
def test_debians_registry_keeps_configurations(world: World, tmp_path: Path) -> None:
    need("docker-registry")
    with debians_registry(tmp_path) as address:
        cache = f"{address}/team/layers"
        build(world.machine, "--cache-to", cache)
        other = ("--cache-from", cache, "-o", "debian")
        done = build(world.machine, *other, cache="debian", environ=AWAY)
    assert done.stdout.strip() == world.digest
