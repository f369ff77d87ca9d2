"""``image.base``, as people write it: solve, build, outdated, bundle."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from envlock.lock.codec import load_lock

from ..image.making import check_layout
from ..makers.bases import Base, push_index, system
from ..validate.images import member

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine
    from ..makers.registry import Registry


def write(machine: Machine, index: Index, reference: str, more: str = "") -> Path:
    index.wheel("app", "1.0", files={"app/__init__.py": "VALUE = 1\n"}, offer={"metadata": True})
    body = f"pypi:\n  dependencies: [app]\nimage:\n  base: {reference}\n{more}"
    return machine.write_spec("one", body, debian=False)


def run(machine: Machine, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = machine.run(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def image(layout: Path) -> tuple[Any, Any]:
    """Return manifest and configuration of a layout's image."""

    def read(digest: str) -> Any:
        return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())

    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = read(entry["digest"])
    return manifest, read(manifest["config"]["digest"])


def test_from_a_name_to_an_image(machine: Machine, index: Index, registry: Registry) -> None:
    base = Base(settings={"Env": ["PATH=/usr/bin:/bin", "A=1"], "Cmd": ["sh"], "User": "app"})
    digest = base.push(registry, "team/base", "v1")
    reference = f"{registry.address}/team/base:v1"
    write(machine, index, reference)
    done = run(machine, "solve", "--json")
    (told,) = json.loads(done.stdout)["environments"]
    assert told["base"]["manifest"] == digest
    lock = load_lock(machine.lock("one"))
    assert lock.base is not None
    assert (lock.base.os, lock.base.glibc, lock.base.python) == (
        "debian 12", "2.36", "/usr/bin/python3.11",
    )  # fmt: skip
    first = run(machine, "build", "--no-validate").stdout
    layout = machine.project / "build" / "one"
    assert check_layout(layout) == first.strip()
    manifest, config = image(layout)
    below = json.loads(registry.repository("team/base").manifests[digest][1])["layers"]
    assert manifest["layers"][: len(below)] == below
    assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"]) == len(config["history"])
    assert config["config"]["Env"] == ["A=1", "PATH=/opt/env/bin:/usr/bin:/bin"]
    assert (config["config"]["Cmd"], config["config"]["User"]) == (["sh"], "app")
    assert manifest["annotations"]["org.opencontainers.image.base.name"] == reference
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == digest
    assert run(machine, "build", "--no-validate").stdout == first
    assert run(machine, "solve", "--check")


def test_the_locked_digest_stays(machine: Machine, index: Index, registry: Registry) -> None:
    arm = Base(architecture="arm64").push(registry, "base")
    old = Base(docker=True).push(registry, "base")
    named = push_index(registry, "base", "v1", {"arm64": arm, "amd64": old}, docker=True)
    write(machine, index, f"{registry.address}/base:v1")
    run(machine, "solve")
    first = load_lock(machine.lock("one")).base
    assert first is not None
    assert (first.index, first.manifest) == (named, old)
    kinds = {layer.media_type for layer in first.layers}
    assert kinds == {"application/vnd.oci.image.layer.v1.tar+gzip"}
    same = run(machine, "outdated", "--json")
    (told,) = json.loads(same.stdout)["environments"]
    assert told["base"] == {
        "reference": f"{registry.address}/base:v1", "locked": named, "now": named, "moved": False,
    }  # fmt: skip
    new = Base(config={"author": "somebody"}).push(registry, "base", "v1")
    assert f"locked is {named}, it is {new}" in run(machine, "outdated").stdout
    registry.repositories["base"].manifests.pop("v1")
    run(machine, "solve")  # nothing is asked
    assert "it is nothing any more" in run(machine, "outdated").stdout
    registry.repositories["base"].manifests["v1"] = registry.repositories["base"].manifests[new]
    assert f"base image {old} -> {new}" in run(machine, "solve", "-U").stderr
    lock = load_lock(machine.lock("one"))
    assert lock.base is not None
    assert lock.base.manifest == new


def test_a_bundle_brings_the_base(machine: Machine, index: Index, registry: Registry) -> None:
    Base().push(registry, "base", "v1")
    write(machine, index, f"{registry.address}/base:v1")
    run(machine, "solve")
    bundle = machine.root / "one.tar"
    told = run(machine, "bundle", "one", "-o", str(bundle), "--json")
    assert json.loads(told.stdout)["artifacts"] == 3  # a wheel, a configuration, a layer
    first = run(machine, "build", "--no-validate", "--record").stdout
    registry.repositories.clear()
    away = {"ENVLOCK_CACHE_DIR": str(machine.root / "other")}
    again = machine.run(
        "build", "--no-validate", "--from-bundle", str(bundle), "-o", "two", environ=away
    )
    assert (again.returncode, again.stdout) == (0, first), again.stderr
    gone = machine.run("build", "--no-validate", environ={**away, "ENVLOCK_CACHE_DIR": "empty"})
    assert gone.returncode == 3
    assert run(machine, "build", "--check", "--no-validate").stdout == first


def test_a_mirror_is_asked_instead(machine: Machine, index: Index, registry: Registry) -> None:
    digest = Base().push(registry, "hub/library/python", "3.11-slim")
    write(machine, index, "python:3.11-slim")
    mirror = {"ENVLOCK_REGISTRY_DOCKER_IO": f"{registry.address}/hub"}
    done = machine.run("solve", environ=mirror)
    assert done.returncode == 0, done.stderr
    lock = load_lock(machine.lock("one"))
    assert lock.base is not None
    assert lock.base.reference == "docker.io/library/python:3.11-slim"
    assert lock.base.manifest == digest
    assert registry.address not in machine.lock("one").read_text()


def test_layers_of_the_same_registry_are_mounted(
    machine: Machine, index: Index, registry: Registry
) -> None:
    Base().push(registry, "base", "v1")
    write(machine, index, f"{registry.address}/base:v1")
    run(machine, "solve")
    done = run(
        machine, "build", "--no-validate", "--push", f"{registry.address}/team/one:v1", "--json"
    )
    (told,) = json.loads(done.stdout)["images"]
    below = sum(len(blob) for blob in registry.repositories["base"].blobs.values())
    assert 0 < told["pushed"]["mounted"] < below


def test_they_are_mounted_also_where_all_else_comes_from_a_cache(
    machine: Machine, index: Index, registry: Registry
) -> None:
    """On a fresh machine the base is pulled after the registry was asked for what it has."""
    Base().push(registry, "base", "v1")
    write(machine, index, f"{registry.address}/base:v1")
    run(machine, "solve")
    cache = f"{registry.address}/team/cache"
    run(machine, "build", "--no-validate", "--record", "--cache-to", cache)
    shutil.rmtree(machine.cache)
    shutil.rmtree(machine.project / "build")
    reference = f"{registry.address}/team/one:v1"
    done = run(
        machine, "build", "--no-validate", "--cache-from", cache, "--push", reference, "--json"
    )
    (told,) = json.loads(done.stdout)["images"]
    assert told["recorded"]
    lock = load_lock(machine.lock("one"))
    assert lock.base is not None
    assert told["pushed"]["mounted"] >= lock.base.size


def test_a_spec_has_a_base_or_an_os_layer(machine: Machine) -> None:
    machine.write_spec("one", "image:\n  base: docker.io/library/debian:12\n")
    done = run(machine, "solve", code=2)
    assert "envs/one.yaml" in done.stderr
    assert "remove debian:, or image.base" in done.stderr
    machine.write_spec("one", "image:\n  base: a:secret@r.example.com/b\n", debian=False)
    done = run(machine, "solve", code=2)
    assert "carries a credential" in done.stderr
    assert "secret" not in done.stderr


def test_wheels_need_their_python(machine: Machine, index: Index, registry: Registry) -> None:
    Base(layers=[system(python="3.12")]).push(registry, "base", "v1")
    write(machine, index, f"{registry.address}/base:v1")
    done = run(machine, "solve", code=1)
    assert "no python3.11 on its PATH" in done.stderr
    assert f"{registry.address}/base:v1: debian 12" in done.stderr
    assert not machine.lock("one").exists()


def test_errors_name_the_line_of_the_spec(
    machine: Machine, index: Index, registry: Registry
) -> None:
    name = f"{registry.address}/base:v1"
    write(machine, index, name)
    done = run(machine, "solve", code=3)
    assert f"envs/one.yaml:9:9: the registry has no image {name}" in done.stderr
    Base(layers=[[member("opt", "")]]).push(registry, "base", "v1")
    done = run(machine, "solve", code=1)
    assert f"envs/one.yaml:9:9: the base image has no glibc\n  {name}\n" in done.stderr
