"""The flake, judged by Debian's Nix in its real sandbox; a stub stands in for nixpkgs."""

from __future__ import annotations

import dataclasses
import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from envlock.errors import IntegrityError
from envlock.lock.codec import dump_lock, load_lock
from envlock.nixstore import seed, store_name
from envlock.progress import SILENT

from ..container.judges import need
from ..image.making import environment_of
from ..layers_conda.building import with_conda
from ..layers_conda.making import make_zoo
from ..makers.bases import Base, system
from ..makers.fixtures import index, machine, mirror
from ..makers.registry import Registry
from ..makers.wheels import make_wheel
from ..validate.images import member
from .conftest import PROJECT, remove

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine
    from .conftest import Nix

__all__ = ["index", "machine", "mirror"]

pytestmark = pytest.mark.container

FIXTURE = "nix/fixture/locks/fixture.linux-64.lock.json"


def test_check(nix: Nix) -> None:
    done = nix.run("flake", "check", *nix.stub, f"path:{nix.flake}")
    if "refers to a non-existent path '/nix/store/" in done.stderr:
        # newer ones look for a template below /nix, wherever --store is: the rest is checked
        assert (nix.flake / "nix/template/flake.nix").is_file()
        flake = nix.flake / "flake.nix"
        whole = flake.read_text()
        flake.write_text(
            re.sub(r"(?s)\n      templates\.default = \{.*?\n      \};\n", "\n", whole)
        )
        assert len(flake.read_text()) < len(whole)
        done = nix.run("flake", "check", *nix.stub, f"path:{nix.flake}")
    assert done.returncode == 0, done.stderr


def test_the_fixture_has_its_recorded_digest_and_comes_out_the_same_again(nix: Nix) -> None:
    image = nix.build("checks.x86_64-linux.image")
    recorded = load_lock(nix.flake / FIXTURE).built
    assert recorded is not None
    assert _manifest(image) == recorded.manifest
    assert nix.build("checks.x86_64-linux.image", "--rebuild") == image


def test_builders_have_no_network(nix: Nix) -> None:
    """The sandbox is on: a builder sees the loopback interface and nothing else."""
    expression = (
        'derivation { name = "net"; system = builtins.currentSystem; builder = "/bin/sh"; '
        'args = [ "-c" "/bin/cat /proc/net/dev > $out; exit 0" ]; }'
    )
    output = nix.ok("build", "--impure", "--no-link", "--json", "--expr", expression)
    place = json.loads(output)[0]["outputs"]["out"]
    interfaces = (nix.store / place.removeprefix("/")).read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_a_tampered_artifact_is_refused(nix: Nix) -> None:
    wheel = next((nix.flake / "nix/fixture/packages").iterdir())
    wheel.write_bytes(wheel.read_bytes() + b"more")
    done = nix.run("build", "--no-link", *nix.stub, nix.at("checks.x86_64-linux.image"))
    assert done.returncode != 0
    assert "hash mismatch" in done.stderr
    assert store_name(wheel.name) in done.stderr


def test_a_lock_of_another_packer_is_refused(nix: Nix) -> None:
    path = nix.flake / FIXTURE
    lock = load_lock(path)
    path.write_text(dump_lock(dataclasses.replace(lock, packer=lock.packer + 1)))
    done = nix.run("build", "-L", "--no-link", *nix.stub, nix.at("checks.x86_64-linux.image"))
    assert done.returncode != 0
    assert f"this lock is for packer {lock.packer + 1}" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"format": 1', '"format": 9'), "has the lock format 9"),
        (lambda text: "[]", "is no lock of envlock"),
    ],
)
def test_what_is_no_lock_stops_the_evaluation(
    nix: Nix, change: Callable[[str], str], message: str
) -> None:
    path = nix.flake / FIXTURE
    path.write_text(change(path.read_text()))
    done = nix.run("eval", *nix.stub, nix.at("checks.x86_64-linux.image.drvPath"))
    assert done.returncode != 0
    assert message in done.stderr


def test_another_digest_than_the_asserted_one_is_no_image(nix: Nix) -> None:
    path = nix.flake / FIXTURE
    lock = load_lock(path)
    assert lock.built is not None
    wrong = dataclasses.replace(lock.built, manifest=f"sha256:{'0' * 64}")
    path.write_text(dump_lock(dataclasses.replace(lock, built=wrong)))
    done = nix.run("build", "-L", "--no-link", *nix.stub, nix.at("checks.x86_64-linux.image"))
    assert done.returncode != 0
    assert "the image is not the expected one" in done.stderr


def test_the_flake_lock_agrees_with_the_flake(nix: Nix) -> None:
    told = json.loads(nix.ok("flake", "metadata", "--no-update-lock-file", "--json"))
    assert told["locks"] == json.loads((PROJECT / "flake.lock").read_text())


@pytest.mark.parametrize(
    "system", ["x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin"]
)
def test_every_system_evaluates(nix: Nix, system: str) -> None:
    for attribute in ("packages", "devShells"):
        path = nix.ok("eval", "--raw", *nix.stub, nix.at(f"{attribute}.{system}.default.drvPath"))
        assert path.endswith(".drv")
    assert nix.ok("eval", "--raw", *nix.stub, nix.at(f"apps.{system}.default.program"))


def test_the_command_runs_from_the_flake(nix: Nix) -> None:
    package = nix.build("packages.x86_64-linux.default")
    script = (package / "bin/envlock").read_text()
    assert re.search(r"/nix/store/\S+/src", script)


def test_every_lock_is_an_image_of_the_flake(nix: Nix) -> None:
    names = json.loads(
        nix.ok("eval", "--json", *nix.stub, nix.at("images"), "--apply", "builtins.attrNames")
    )
    locks = {path.name.split(".")[0] for path in (PROJECT / "locks").glob("*.linux-64.lock.json")}
    assert set(names) == locks


def test_one_store_takes_the_image_of_another(nix: Nix, tmp_path: Path) -> None:
    image = nix.build("checks.x86_64-linux.image")
    other = tmp_path / "other"
    name = f"/nix/store/{image.name}"
    try:
        nix.ok("copy", "--no-check-sigs", "--from", nix.store, "--to", other, name)
        assert not _differences(image, other / name.removeprefix("/"))
        # nothing is built again there
        done = nix.run(
            "build", "-v", "--no-link", *nix.stub, nix.at("checks.x86_64-linux.image"), store=other
        )
        assert done.returncode == 0
        assert "building '" not in done.stderr
    finally:
        remove(other)


@pytest.mark.network
def test_the_small_environment_is_the_same_image_as_the_plain_build(
    nix: Nix, tmp_path: Path
) -> None:
    _envlock(tmp_path, "nix-seed", "small", "--store", str(nix.store))
    image = nix.build("images.small")
    _envlock(
        tmp_path, "build", "small", "--offline", "--no-validate", "-o", str(tmp_path / "plain")
    )
    lock = load_lock(PROJECT / "locks/small.linux-64.lock.json")
    assert lock.built is not None
    assert _manifest(image) == _manifest(tmp_path / "plain") == lock.built.manifest
    assert not _differences(image, tmp_path / "plain")
    for blob in (image / "blobs/sha256").iterdir():
        with blob.open("rb") as stream:
            assert hashlib.file_digest(stream, "sha256").hexdigest() == blob.name
    assert nix.build("images.small", "--rebuild") == image


def _envlock(tmp_path: Path, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "envlock", "--project", str(PROJECT), *words],
        env={**os.environ, "ENVLOCK_CACHE_DIR": str(tmp_path / "cache")},
        check=True,
        capture_output=True,
        timeout=900,
    )


def _manifest(layout: Path) -> str:
    index = json.loads((layout / "index.json").read_text())
    return str(index["manifests"][0]["digest"])


def _differences(one: Path, other: Path) -> list[str]:
    """Return the files of two folders that are not in both, or not equal."""
    files = {str(path.relative_to(root)) for root in (one, other) for path in root.rglob("*")}
    plain = [file for file in files if not ((one / file).is_dir() and (other / file).is_dir())]
    _, unequal, missing = filecmp.cmpfiles(one, other, plain, shallow=False)
    return [*unequal, *missing]


def test_a_base_image_is_below_as_in_the_plain_build(
    nix: Nix, machine: Machine, index: Index
) -> None:
    """Its blobs are seeded like artifacts: Nix asks no registry, and none is there any more."""
    index.wheel("app", "1.0", files={"app/__init__.py": "VALUE = 1\n"}, offer={"metadata": True})
    with Registry() as registry:
        Base(layers=[system(), [member("opt/note", "x")], system()]).push(registry, "base", "v1")
        body = f"pypi:\n  dependencies: [app]\nimage:\n  base: {registry.address}/base:v1\n"
        machine.write_spec("onbase", body, debian=False)
        for words in (["solve"], ["build", "--no-validate"]):
            done = machine.run(*words)
            assert done.returncode == 0, done.stderr
    shutil.copy(machine.lock("onbase"), nix.flake / "locks")
    seeded = machine.run("nix-seed", "onbase", "--offline", "--store", str(nix.store))
    assert "1 artifact and 3 blobs of the base image" in seeded.stderr, seeded.stderr
    image = nix.build("images.onbase")
    assert not _differences(image, machine.project / "build" / "onbase")


def test_conda_packages_come_out_as_in_the_plain_build(nix: Nix, tmp_path: Path) -> None:
    """Nix's Python has no zstd: the program reads what the plain build's module reads."""
    need("zstd")
    wheel = make_wheel(tmp_path, "wheel-one", "1.0", requires=["pure>=2"])
    packages = make_zoo(tmp_path / "channel")
    assert {path.suffix for path in packages} == {".conda", ".bz2"}
    environment = with_conda(environment_of(wheel, python="3.12"), packages)
    lock = nix.flake / "locks" / f"zoo.{environment.lock.platform}.lock.json"
    lock.write_text(dump_lock(environment.lock))
    scratch = tmp_path / "scratch"
    added = seed(
        environment.lock.artifacts, environment.paths, SILENT, store=str(nix.store),
        scratch=scratch,
    )  # fmt: skip
    assert added == len(packages) + 1
    image = nix.build("images.zoo")
    built = environment.build(tmp_path / "plain", tmp_path / "cache")
    assert _manifest(image) == _manifest(tmp_path / "plain") == built.digests.manifest
    assert not _differences(image, tmp_path / "plain")


def test_a_tampered_conda_package_is_no_artifact(nix: Nix, tmp_path: Path) -> None:
    environment = with_conda(environment_of(python="3.12"), make_zoo(tmp_path / "channel"))
    artifact = environment.lock.of_kind("conda")[0]
    path = environment.paths[artifact.sha256]
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(IntegrityError, match="is not the file that the lock names"):
        seed([artifact], environment.paths, SILENT, store=str(nix.store), scratch=tmp_path / "s")
