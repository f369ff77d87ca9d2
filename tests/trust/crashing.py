"""What is killed, and what must hold afterwards.

A ``World`` is a machine with an index, a mirror and a registry on loopback, and what each command
must come to.  A ``Scenario`` is one command: the state before it, what may be there after it was
killed, and what must be there once it was run again.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.lock.codec import load_lock

from ..image.making import check_layout
from ..makers.debs import Repository
from ..makers.machine import Machine
from ..makers.registry import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.registry import Registry

OLD, NEW = "[small]", "[big, small]"
BIG = 2_000_000
"""Bytes of the wheel that takes a while to come."""

_TIDY = ("*staging-*", "*.installing*", "*.lock", "*.part", "*.partial*", ".*-lock")
_THEIRS = ("uv",)
"""Folders of the cache that are another program's."""


class BrokenPromiseError(AssertionError):
    """Something was there that must never be."""


@dataclass(slots=True)
class World:
    """The machine and, by scenario, the states before a command and what it must come to."""

    machine: Machine
    index: Index
    registry: Registry
    states: Path
    results: dict[str, str] = field(default_factory=dict)
    locks: dict[str, bytes] = field(default_factory=dict)
    pushed: int = 0

    @property
    def project(self) -> Path:
        return self.machine.project

    def keep(self, name: str) -> None:
        """Remember project and cache as they are now, under a name."""
        for part in ("project", "cache"):
            source = self.machine.root / part
            if source.exists():
                shutil.copytree(source, self.states / name / part, symlinks=True)

    def restore(self, name: str) -> None:
        """Make project and cache what they were under a name; the cache may be left out."""
        for part in ("project", "cache", "tmp"):
            shutil.rmtree(self.machine.root / part, ignore_errors=True)
        self.machine.temporary.mkdir()
        shutil.copytree(self.states / name / "project", self.project, symlinks=True)

    def restore_cache(self, name: str) -> None:
        shutil.copytree(self.states / name / "cache", self.machine.cache, symlinks=True)

    def done(self, *words: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        told = self.machine.run(*words)
        if told.returncode != 0 or "Traceback" in told.stderr:
            raise BrokenPromiseError(f"{' '.join(words)}: {told.returncode}\n{told.stderr[-3000:]}")
        return told.stdout.strip()

    def reference(self) -> str:
        return f"{self.registry.address}/team/one{self.pushed}:v1"


def make_world(
    folder: Path, index: Index, registry: Registry, scenarios: Sequence[Scenario]
) -> World:
    """Make the machine, and run each command that is needed once undisturbed."""
    wanted = {scenario.name for scenario in scenarios}
    mirror = Repository(folder / "debian" / "mirror")
    mirror.add_base()
    mirror.add("python3.11-minimal")
    mirror.publish()
    Repository(mirror.root, suite="bookworm-updates", key=mirror.key).publish()
    mirror.write_keyring(folder / "keyring.gpg")
    index.folders["debian"] = mirror.root
    noise = random.Random(1).randbytes(BIG)
    index.wheel("big", "1.0", files={"big/data.bin": noise}, offer={"metadata": True})
    points = {"console_scripts": {"small": "small:main"}}
    index.wheel("small", "1.0", entry_points=points, files={"small.py": "def main(): ...\n"})
    environ = {
        "ENVLOCK_INDEX_PYPI": index.url,
        "ENVLOCK_MIRROR_DEBIAN": f"{index.base}/debian",
        "ENVLOCK_KEYRING_DEBIAN": str(folder / "keyring.gpg"),
    }
    world = World(Machine(folder / "machine", environ), index, registry, folder / "states")
    for name, dependencies in (("old", OLD), ("new", NEW)):
        world.machine.write_spec("one", f"pypi: {{dependencies: {dependencies}}}\n")
        world.done("solve", "one")
        world.locks[name] = world.machine.lock("one").read_bytes()
        world.results[name] = world.done(*BUILD)
        if "build a tar" in wanted:
            world.done(*BUILD, "-o", "one.tar")
            world.results[f"tar {name}"] = _sha256(world.project / "one.tar")
        if "install" in wanted:
            world.done(*INSTALL)
            world.results[f"prefix {name}"] = tree(world.project / "prefix")
        if "bundle" in wanted:
            world.done(*BUNDLE)
            world.results[f"bundle {name}"] = _sha256(world.project / "bundle.tar")
        if "push" in wanted:
            world.done(*BUILD, "--push", world.reference())
        world.keep(name)
    # as it is when somebody has changed the spec, and, for all but the solve, has solved
    spec = (world.states / "new/project/envs/one.yaml").read_bytes()
    for name in ("unsolved", "unbuilt"):
        shutil.copytree(world.states / "old", world.states / name, symlinks=True)
        (world.states / name / "project/envs/one.yaml").write_bytes(spec)
    lock = world.states / "unbuilt/project/locks" / world.machine.lock("one").name
    lock.write_bytes(world.locks["new"])
    return world


BUILD = ("build", "one", "--no-validate")
INSTALL = ("install", "one", "--prefix", "prefix", "--no-validate", "--python", sys.executable)
BUNDLE = ("bundle", "one", "-o", "bundle.tar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One command.

    before: the state of the project; cache: the state that the cache is of, or "" for an empty
    one; seen: returns which of the states is there now, and raises where it is none; prepare:
    what else is done before.
    """

    name: str
    words: Callable[[World], tuple[str, ...]]
    seen: Callable[[World], str]
    before: str = "unbuilt"
    cache: str = "old"
    prepare: Callable[[World], None] = lambda _: None

    def set_up(self, world: World) -> None:
        world.restore(self.before)
        if self.cache:
            world.restore_cache(self.cache)
        self.prepare(world)


def check(world: World, scenario: Scenario) -> str:
    """Check what must hold at any moment, and return which state the command's result is in."""
    check_store(world.machine.cache)
    lock = world.machine.lock("one")
    if lock.read_bytes() not in world.locks.values():
        raise BrokenPromiseError("the lock is neither the old one nor the new one")
    load_lock(lock)
    return scenario.seen(world)


def check_store(cache: Path) -> None:
    """Check that each artifact of the store is the one that its name says."""
    for path in (cache / "artifacts").glob("*/*"):
        if _sha256(path) != path.name or path.parent.name != path.name[:2]:
            raise BrokenPromiseError(f"the store is poisoned: {path}")


def left_behind(world: World) -> list[str]:
    """Return what a killed command left in project and cache, once another one went through.

    The empty lock file of a download may stay: nobody holds it, and nobody waits for it.
    """
    found = []
    for root in (world.project, world.machine.cache):
        for path in root.rglob("*"):
            place = path.relative_to(root)
            if place.parts[0] in _THEIRS or "artifacts" in place.parts:
                continue
            if place.parts[0] == "partial" and path.suffix == ".lock" and not path.stat().st_size:
                continue
            if any(path.match(pattern) for pattern in _TIDY) and not path.name.endswith(".json"):
                found.append(str(place))
    return found


def tree(folder: Path) -> str:
    """Return a digest of the names, kinds and contents below a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(str(path.relative_to(folder)).encode() + b"\0")
        if path.is_symlink():
            found.update(str(path.readlink()).encode())
        elif path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _one_of(world: World, found: str, prefix: str, what: str) -> str:
    for state in ("old", "new"):
        if found == world.results[f"{prefix}{state}"]:
            return state
    raise BrokenPromiseError(f"{what} is neither the old one nor the new one")


def _lock_seen(world: World) -> str:
    now = world.machine.lock("one").read_bytes()
    return next(name for name, text in world.locks.items() if text == now)


def _layout_seen(world: World) -> str:
    layout = world.project / "build" / "one"
    if not (layout / "index.json").is_file():
        raise BrokenPromiseError("the image that was there is gone")
    return _one_of(world, check_layout(layout), "", "the image")


def _archive_seen(world: World) -> str:
    return _one_of(world, _sha256(world.project / "one.tar"), "tar ", "the image's tar")


def _prefix_seen(world: World) -> str:
    return _one_of(world, tree(world.project / "prefix"), "prefix ", "the prefix")


def _bundle_seen(world: World) -> str:
    return _one_of(world, _sha256(world.project / "bundle.tar"), "bundle ", "the bundle")


def _tag_seen(world: World) -> str:
    store = world.registry.repository(f"team/one{world.pushed}")
    _, manifest = store.manifests["v1"]
    for digest, data in store.blobs.items():
        if digest != f"sha256:{hashlib.sha256(data).hexdigest()}":
            raise BrokenPromiseError(f"the registry has another blob under {digest}")
    document = json.loads(manifest)
    for one in (document["config"], *document["layers"]):
        if one["digest"] not in store.blobs:
            raise BrokenPromiseError("the tag names an image whose blobs are not there")
    found = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    return _one_of(world, found, "", "the tag's image")


def _tag_old(world: World) -> None:
    """Let the tag of another repository name the old image."""
    world.pushed += 1
    first = world.registry.repository("team/one0")
    kind, data = first.manifests[world.results["old"]]
    document = json.loads(data)
    held = [one["digest"] for one in (document["config"], *document["layers"])]
    world.registry.repositories[f"team/one{world.pushed}"] = Store(
        blobs={digest: first.blobs[digest] for digest in held},
        manifests={"v1": (kind, data), world.results["old"]: (kind, data)},
    )


SCENARIOS = (
    Scenario(
        name="solve",
        words=lambda _: ("solve", "one"),
        seen=_lock_seen,
        before="unsolved",
        cache="",
    ),
    Scenario(
        name="solve, warm", words=lambda _: ("solve", "one"), seen=_lock_seen, before="unsolved"
    ),
    Scenario(name="fetch and build", words=lambda _: BUILD, seen=_layout_seen, cache=""),
    Scenario(name="build", words=lambda _: BUILD, seen=_layout_seen),
    Scenario(name="build a tar", words=lambda _: (*BUILD, "-o", "one.tar"), seen=_archive_seen),
    Scenario(
        name="push",
        words=lambda world: (*BUILD, "--push", world.reference()),
        seen=_tag_seen,
        prepare=_tag_old,
    ),
    Scenario(name="install", words=lambda _: INSTALL, seen=_prefix_seen),
    Scenario(name="bundle", words=lambda _: BUNDLE, seen=_bundle_seen),
)
