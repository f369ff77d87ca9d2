"""``--cache-from`` and ``--cache-to``: layers of a team's registry, also of a poisoned one."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from envlock.cli.context import Context
from envlock.cli.layercache import NOTHING, Taken, keeper, take
from envlock.cli.output import Output
from envlock.delivery.layercache import LayerCache
from envlock.fetch.store import Store
from envlock.image.layout import ImageDigests, Staging
from envlock.layers.gzipstream import StreamDigests
from envlock.layers.plan import image_layers, plan_layers
from envlock.lock.model import BuiltImage, BuiltLayer
from envlock.registry.open import Access
from envlock.registry.reference import parse_reference

from ..container.judges import need
from ..container.judges import registry as debians_registry
from ..image.making import check_layout
from ..lock.locks import LOCK, conda
from ..makers.machine import NOWHERE
from ..makers.registry import Registry

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

KEY = "a" * 64


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running


@pytest.fixture
def locked(machine: Machine, index: Index) -> Machine:
    index.wheel("app", "1.0", files={"app/__init__.py": "VALUE = 1\n"}, offer={"metadata": True})
    machine.write_spec("one", "pypi:\n  dependencies: [app]\n")
    done = machine.run("solve", "--no-audit")
    assert done.returncode == 0, done.stderr
    return machine


def build(
    machine: Machine,
    *more: str,
    code: int = 0,
    cache: str = "cache",
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Build with a cache folder of its own, without a proof."""
    own = {"ENVLOCK_CACHE_DIR": str(machine.root / cache), **(environ or {})}
    done = machine.run("build", "one", "--no-validate", *more, environ=own)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    return done


AWAY = {"ENVLOCK_INDEX_PYPI": NOWHERE, "ENVLOCK_MIRROR_DEBIAN": "http://127.0.0.1:9/debian"}


def test_recorded_layers_come_without_their_artifacts(locked: Machine, registry: Registry) -> None:
    cache = f"{registry.address}/team/layers"
    first = build(locked, "--record", "--cache-to", cache)
    assert "2 layers sent, 0 there already" in first.stderr
    again = build(locked, "--cache-to", cache)
    assert "0 layers sent, 2 there already" in again.stderr
    second = build(locked, "--cache-from", cache, "-o", "two", cache="b", environ=AWAY)
    assert second.stdout == first.stdout
    assert check_layout(locked.project / "two") == first.stdout.strip()
    # whatever the cache sends now, the image is the recorded one
    store = registry.repository("team/layers")
    for digest, blob in store.blobs.items():
        store.blobs[digest] = b"evil" + blob[4:]
    made = build(locked, "--cache-from", cache, "-o", "three", cache="c")
    assert "layers are made here instead" in made.stderr
    assert made.stdout == first.stdout


def test_the_word_of_a_cache(locked: Machine, registry: Registry) -> None:
    cache = f"{registry.address}/team/layers"
    first = build(locked, "--cache-to", cache)
    layers = json.loads(build(locked, "--json").stdout)["images"][0]["layers"]
    from_cache = {"ENVLOCK_MIRROR_DEBIAN": "http://127.0.0.1:9/debian"}
    same = build(locked, "--cache-from", cache, "-o", "two", cache="b", environ=from_cache)
    assert same.stdout == first.stdout  # without one Debian package
    assert "layers: 1 layer taken" in same.stderr
    assert "1 to be made; with layers in the lock (envlock build one --record) more" in same.stderr
    poison(registry, layers[0]["digest"])
    other = build(locked, "--cache-from", cache, "-o", "three", cache="c")
    assert other.stdout != first.stdout  # as the docs say: by the word of who writes there
    kept = build(locked, "-o", "four", cache="c")
    assert kept.stdout == first.stdout  # but it does not stay
    recorded = build(locked, "--record", "--cache-from", cache, "-o", "five", cache="d")
    assert recorded.stdout == first.stdout  # and gets into no lock
    told = build(locked, "--cache-to", cache, cache="d")
    assert "had another layer in the place of" in told.stderr
    trusted = build(locked, "--cache-from", cache, "-o", "six", cache="e")
    assert trusted.stdout == first.stdout


def poison(registry: Registry, digest: str) -> None:
    """Let the layer's tag name another layer that is in itself in order."""
    store = registry.repository("team/layers")
    for tag, (kind, data) in list(store.manifests.items()):
        manifest = json.loads(data)
        if not tag.startswith("layer-") or manifest["layers"][0]["digest"] != digest:
            continue
        plain = bytes(10240)
        blob = gzip.compress(plain)
        record = json.dumps(
            {
                "key": tag.removeprefix("layer-"),
                "digest": digest_of(blob),
                "diff_id": digest_of(plain),
                "size": len(blob),
                "plain_size": len(plain),
            }
        ).encode()
        for data in (blob, record):
            store.blobs[digest_of(data)] = data
        manifest["config"] |= {"digest": digest_of(record), "size": len(record)}
        manifest["layers"][0] |= {"digest": digest_of(blob), "size": len(blob)}
        store.manifests[tag] = (kind, json.dumps(manifest).encode())


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_cache_that_is_none_stops_nobody(
    locked: Machine, index: Index, registry: Registry
) -> None:
    cache = f"{urlsplit(index.base).netloc}/layers"  # which knows no uploads
    done = build(locked, "--cache-from", f"{registry.address}/empty", "--cache-to", cache)
    assert "were not put into the cache" in done.stderr
    assert check_layout(locked.project / "build" / "one") == done.stdout.strip()
    for option, text, said in (
        ("--cache-to", f"{registry.address}/a:tag", "a cache is a repository"),
        ("--cache-from", "nowhere", "does not begin with a registry's host"),
    ):
        assert said in build(locked, option, text, code=2).stderr
    build(locked, "--record")
    assert "--check makes" in build(locked, "--check", "--cache-from", cache, code=2).stderr


def test_a_bundle_is_pushed(locked: Machine, registry: Registry) -> None:
    bundle = str(locked.root / "one.tar")
    assert locked.run("bundle", "one", "-o", bundle).returncode == 0
    first = build(locked)
    name = f"{registry.address}/team/one:v1"
    done = build(locked, "--from-bundle", bundle, "--push", name, cache="b", environ=AWAY)
    assert done.stdout == first.stdout
    assert digest_of(registry.repository("team/one").manifests["v1"][1]) == done.stdout.strip()
    refused = build(locked, "--from-bundle", bundle, "--push", name, "--offline", code=3)
    assert "--offline was given" in refused.stderr


class Heard:
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        from envlock.progress import SILENT

        self.warnings: list[str] = []
        self.task = SILENT.task
        self.note = SILENT.note

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def cache(registry: Registry, heard: Heard, tmp_path: Path) -> LayerCache:
    return cache_at(registry.address, heard, tmp_path)


def cache_at(address: str, heard: Heard, folder: Path) -> LayerCache:
    reporter: Any = heard
    reference = parse_reference(f"{address}/layers")
    return LayerCache(reference, Access(), Store(folder / "store"), reporter)


def layer(folder: Path, plain: bytes) -> StreamDigests:
    blob = gzip.compress(plain[:100]) + gzip.compress(plain[100:])
    (folder / digest_of(blob).removeprefix("sha256:")).write_bytes(blob)
    return StreamDigests(
        diff_id=digest_of(plain), digest=digest_of(blob), size=len(blob), plain_size=len(plain)
    )


def test_what_is_put_in_comes_out(cache: LayerCache, heard: Heard, tmp_path: Path) -> None:
    digests = layer(tmp_path, bytes(5000))
    assert cache.told(KEY) is None
    assert cache.keep([(KEY, digests)], tmp_path).sent == 1
    found = cache.told(KEY)
    assert found is not None
    assert found[0] == digests
    assert digest_of(found[1].read_bytes()) == digests.digest
    assert cache.told("b" * 64) is None
    assert heard.warnings == []


def test_nothing_is_run_upon_the_word_of_a_cache(
    cache: LayerCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVLOCK_CACHE_DIR", str(tmp_path / "cache"))
    tool = conda("tool", link_scripts=("bin/.tool-post-link.sh",))
    lock = replace(LOCK, artifacts=(*LOCK.artifacts, tool), built=None)
    spec = {"channels": ["c"], "dependencies": ["tool"], "link-scripts": {"tool": "run"}}
    runs = replace(lock, spec={**lock.spec, "conda": spec})
    key = plan_layers(lock)[0].key
    assert key == plan_layers(runs)[0].key
    cache.keep([(key, layer(tmp_path, bytes(5000)))], tmp_path)
    state = Context(output=Output())
    assert take(state, cache, lock, trusting=True, elsewhere=None).told.keys() == {key}
    assert not take(state, cache, runs, trusting=True, elsewhere=None).told
    assert not take(state, cache, lock, trusting=False, elsewhere=None).told


def test_compiled_modules_go_in_and_come_out_as_recorded(
    cache: LayerCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVLOCK_CACHE_DIR", str(tmp_path / "cache"))
    image = {**LOCK.spec.get("image", {}), "precompile": True}
    lock = replace(LOCK, spec={**LOCK.spec, "image": image}, built=None)
    plans = image_layers(lock)
    layers = tuple(layer(tmp_path, bytes(5000 + 512 * n)) for n in range(len(plans)))
    digests = ImageDigests(manifest="", config="", layers=layers, size=0)
    place = Staging(tmp_path, tmp_path / "image")
    place.blobs = tmp_path
    state = Context(output=Output())
    told = Taken(told={plans[0].key: layers[0]})
    keeper(state, cache, lock, told)(place, digests)  # nothing that stands upon a cache's word
    assert [cache.told(plan.key) is None for plan in plans] == [
        n in {0, len(plans) - 1} for n in range(len(plans))
    ]
    keeper(state, cache, lock, NOTHING)(place, digests)
    found = cache.told(plans[-1].key)
    assert found is not None
    assert found[0] == layers[-1]
    assert layers[-1].digest not in take(state, cache, lock, trusting=True, elsewhere=None).layers
    built = tuple(BuiltLayer(**asdict(one)) for one in layers)
    recorded = replace(lock, built=BuiltImage(manifest=KEY, config=KEY, layers=built))
    taken = take(state, cache, recorded, trusting=False, elsewhere=None)
    assert digest_of(taken.layers[layers[-1].digest].read_bytes()) == layers[-1].digest


@pytest.mark.parametrize("gone", [None, "conda", "linked", "config"])
def test_what_scripts_write_comes_as_recorded(
    cache: LayerCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str | None
) -> None:
    """All or nothing of a recorded image with conda packages: else these must be fetched."""
    monkeypatch.setenv("ENVLOCK_CACHE_DIR", str(tmp_path / "cache"))
    tool = conda("tool", link_scripts=("bin/.tool-post-link.sh",))
    spec = {"channels": ["c"], "dependencies": ["tool"], "link-scripts": {"tool": "run"}}
    artifacts = tuple(sorted((*LOCK.artifacts, tool), key=lambda one: one.kind))
    lock = replace(LOCK, artifacts=artifacts, spec={**LOCK.spec, "conda": spec})
    plans = plan_layers(lock)
    layers = {plan: layer(tmp_path, bytes(5000 + 512 * n)) for n, plan in enumerate(plans)}
    config = digest_of(b"{}")
    (tmp_path / config.removeprefix("sha256:")).write_bytes(b"{}")
    built = tuple(BuiltLayer(**asdict(one)) for one in layers.values())
    recorded = replace(lock, built=BuiltImage(manifest=KEY, config=config, layers=built))
    cache.keep([(p.key, one) for p, one in layers.items() if p.kind != gone], tmp_path)
    if gone != "config":
        cache.keep_config(config, tmp_path)
    taken = take(Context(output=Output()), cache, recorded, trusting=False, elsewhere=None)
    kinds = {plan.kind for plan, one in layers.items() if one.digest in taken.layers}
    os_layer = next(plan for plan in plans if plan.kind == "os")
    if gone is None:
        assert kinds == {"os", "conda", "linked", "rest"}
        assert taken.unneeded == {one.sha256 for one in lock.artifacts}
        assert taken.config == b"{}"
    else:
        assert kinds == {"os", "rest"}
        assert taken.unneeded == {one.sha256 for one in os_layer.artifacts}
        assert taken.config is None


@pytest.mark.container
def test_debians_registry_keeps_layers(heard: Heard, tmp_path: Path) -> None:
    need("docker-registry")
    with debians_registry(tmp_path) as address:
        digests = layer(tmp_path, bytes(5000))
        for sent in (1, 0):
            cache = cache_at(address, heard, tmp_path)
            assert cache.keep([(KEY, digests)], tmp_path).sent == sent
        found = cache.told(KEY)
    assert found is not None
    assert (found[0], heard.warnings) == (digests, [])


@pytest.mark.parametrize(
    "change",
    [
        {"key": "b" * 64},
        {"diff_id": "sha256:" + "0" * 64},
        {"plain_size": 4999},
        {"plain_size": 5001},
        {"plain_size": True},
        {"size": 7},
        {"digest": "../../etc/passwd"},
        {"digest": "sha256:" + "0" * 64},
        {"diff_id": None},
        {"key": "x" * 5000},
    ],
)
def test_lies_are_seen(
    cache: LayerCache, registry: Registry, heard: Heard, tmp_path: Path, change: dict[str, Any]
) -> None:
    cache.keep([(KEY, layer(tmp_path, bytes(5000)))], tmp_path)
    store = registry.repository("layers")
    kind, data = store.manifests[f"layer-{KEY}"]
    manifest = json.loads(data)
    record = json.dumps({**json.loads(store.blobs[manifest["config"]["digest"]]), **change})
    store.blobs[digest_of(record.encode())] = record.encode()
    manifest["config"] |= {"digest": digest_of(record.encode()), "size": len(record)}
    store.manifests[f"layer-{KEY}"] = (kind, json.dumps(manifest).encode())
    assert cache.told(KEY) is None
    missing = change.get("digest") == "sha256:" + "0" * 64
    assert len(heard.warnings) == (0 if missing else 1)
