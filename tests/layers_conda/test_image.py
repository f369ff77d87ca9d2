"""Images with conda packages: the same digest everywhere, one owner for every path."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError, IntegrityError, LockError, UsageError
from envlock.image.absent import check_config, read_recorded
from envlock.image.append import append_layer
from envlock.image.build import Workshop, build_image
from envlock.image.config import NO_BASE
from envlock.image.layout import staging
from envlock.layers.gzipstream import StreamDigests
from envlock.layers.plan import COMPILED, plan_layers
from envlock.lock.model import BuiltImage, BuiltLayer, DebianSection
from envlock.progress import SILENT

from ..container.judges import need
from ..image.making import Environment, check_layout, drive, leftovers, read_json, write_job
from ..image.test_determinism import other_pythons
from ..layers_deb.making import Item, write_deb
from ..makers.conda import make_conda
from ..makers.wheels import make_wheel
from .building import with_conda, zoo
from .making import MAIN

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = "sha256:c41541bb10fe9191bec593e3fe1e73e2bb13be0dfb4301b718ea542bf040accd"
"""A change of this digest is a change of every image with conda packages."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return zoo(tmp_path_factory.mktemp("artifacts"), user="nonroot", env={"TOOL_MODE": "slow"})


@pytest.fixture
def job(environment: Environment, tmp_path: Path) -> Path:
    return write_job(environment, tmp_path / "job.json", tmp_path / "image", tmp_path / "cache")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"UMASK": "077", "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONUTF8": "0"},
        {"PYTHONHASHSEED": "4242", "LC_ALL": "tr_TR.UTF-8"},
        {"STDLIB_ONLY": "1"},  # zstd is the program
    ],
    ids=str,
)
def test_settings_of_the_machine(variables: dict[str, str], job: Path, tmp_path: Path) -> None:
    if "STDLIB_ONLY" in variables and sys.version_info < (3, 14):
        need("zstd")
    assert drive(job, **variables) == GOLDEN
    assert check_layout(tmp_path / "image") == GOLDEN


@pytest.mark.parametrize("python", other_pythons() or [None], ids=str)
def test_other_pythons(python: Path | None, job: Path) -> None:
    if python is None:
        pytest.skip("no other Python here")
    need("zstd")
    assert drive(job, python=python, STDLIB_ONLY="1") == GOLDEN


def test_workers_and_warm_and_cold_caches(environment: Environment, tmp_path: Path) -> None:
    job = write_job(
        environment, tmp_path / "job.json", tmp_path / "image", tmp_path / "cache", workers=3
    )
    assert drive(job) == GOLDEN
    assert drive(job) == GOLDEN
    shutil.rmtree(tmp_path / "cache" / "layers")
    assert drive(job) == GOLDEN
    for packed in (tmp_path / "cache" / "segments").glob("*.gz"):
        packed.write_bytes(b"tampered")
    shutil.rmtree(tmp_path / "image")
    assert drive(job) == GOLDEN
    for facts in (tmp_path / "cache" / "segments").glob("*.json"):
        facts.write_text("{}")
    assert drive(job) == GOLDEN


def test_the_configuration(environment: Environment, tmp_path: Path) -> None:
    environment.build(tmp_path / "image", tmp_path / "cache")
    (descriptor,) = read_json(tmp_path / "image" / "index.json")["manifests"]
    blobs = tmp_path / "image" / "blobs" / "sha256"
    manifest = json.loads((blobs / descriptor["digest"][7:]).read_bytes())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_bytes())
    variables = dict(line.split("=", 1) for line in config["config"]["Env"])
    assert variables["CONDA_PREFIX"] == "/opt/env"
    assert variables["PATH"].startswith("/opt/env/bin:")
    assert variables["TOOL_MODE"] == "slow"  # the spec's word is the last
    assert variables["TOOL_HOME"] == "/opt/env/share"
    assert "Y" not in variables


def test_a_recorded_configuration_with_compiled_modules(
    environment: Environment, tmp_path: Path
) -> None:
    """What a lock records has one layer more than its plan."""
    image = {**environment.lock.spec["image"], "precompile": True}
    lock = replace(environment.lock, spec={**environment.lock.spec, "image": image})
    workshop = Workshop(cache=tmp_path / "cache", workers=1)
    with staging(tmp_path / "image") as place:
        below = build_image(lock, environment.paths, place, workshop, SILENT, created=86400)
        top = StreamDigests(
            diff_id=f"sha256:{'1' * 64}", digest=f"sha256:{'2' * 64}", size=3, plain_size=4
        )
        made = append_layer(place, below, top, COMPILED)
        config = (place.blobs / made.config.removeprefix("sha256:")).read_bytes()
    layers = tuple(BuiltLayer(**asdict(layer)) for layer in made.layers)
    built = BuiltImage(manifest=made.manifest, config=made.config, layers=layers)
    recorded = replace(lock, built=built)
    found = read_recorded(recorded, config)
    assert (found.created, found.variables["TOOL_HOME"]) == (86400, "/opt/env/share")
    titles = [plan.title for plan in plan_layers(lock)]
    described = list(zip(titles, below.layers, strict=True))
    check_config(recorded, described, found, NO_BASE)
    with pytest.raises(LockError, match="another configuration"):
        check_config(recorded, described[1:], found, NO_BASE)


def test_each_large_package_has_a_layer(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("envlock.layers.plan.LARGE", 1900)
    plans = plan_layers(environment.lock)
    assert [plan.kind for plan in plans][-1] == "rest"
    large = [(a,) for a in environment.lock.of_kind("conda") if a.size >= 1900]
    assert 1 < len(large) < len(environment.lock.of_kind("conda"))
    assert [plan.artifacts for plan in plans if plan.kind == "conda"][1:] == large
    before = {plan.key for plan in plans}
    other = make_conda(tmp_path, "old", "1.0", build="0", files={"lib/old.txt": b"new"})
    rest = [a for a in environment.lock.artifacts if a.name != "old"]
    moved = with_conda(
        Environment(replace(environment.lock, artifacts=tuple(rest)), environment.paths), [other]
    )
    after = {plan.key for plan in plan_layers(moved.lock)}
    assert len(after - before) == 1
    little = environment.with_image(layers={"budget": 1})
    with pytest.raises(UsageError, match="budget: 1 is too small"):
        plan_layers(little.lock)
    assert len(plan_layers(environment.with_image(layers={"budget": 2}).lock)) == 2


def test_conda_meta_is_of_the_lock(environment: Environment) -> None:
    """A channel corrects what a package depends on without a new file: another layer."""
    changed = tuple(
        replace(item, depends=("python >=3.12",)) if item.name == "tools" else item
        for item in environment.lock.artifacts
    )
    keys = [plan.key for plan in plan_layers(environment.lock)]
    other = [plan.key for plan in plan_layers(replace(environment.lock, artifacts=changed))]
    assert sum(one != two for one, two in zip(keys, other, strict=True)) == 1


# --- one owner ---


def _clash(environment: Environment, tmp_path: Path, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        environment.build(tmp_path / "image", tmp_path / "cache")
    assert not (tmp_path / "image").exists()
    assert leftovers(tmp_path) == []


def test_two_conda_packages(environment: Environment, tmp_path: Path) -> None:
    other = make_conda(tmp_path / "c", "other", "1", files={"lib/old.txt": b"other\n"})
    message = "old and other both install lib/old.txt, and differently"
    _clash(with_conda(environment, [other]), tmp_path, message)


def test_the_same_file_twice_is_fine(environment: Environment, tmp_path: Path) -> None:
    other = make_conda(tmp_path / "c", "other", "1", files={"lib/old.txt": b"old\n"})
    with_conda(environment, [other]).build(tmp_path / "image", tmp_path / "cache")
    check_layout(tmp_path / "image")


def test_a_file_below_a_file(environment: Environment, tmp_path: Path) -> None:
    other = make_conda(tmp_path / "c", "other", "1", files={"lib/data/x": b""})
    message = "tools installs the file /opt/env/lib/data, and other the file"
    _clash(with_conda(environment, [other]), tmp_path, message)


def test_a_wheel_and_a_conda_package(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "pure", "2.4", files={"pure/__init__.py": MAIN + b"# other\n"})
    from ..image.making import environment_of

    bare = environment_of(wheel, python="3.12")
    mixed = with_conda(bare, [path for path in zoo(tmp_path / "z").paths.values()
                              if "channel" in str(path)])  # fmt: skip
    _clash(mixed, tmp_path, "pure and pure both install|and differently")


def test_a_deb_below_the_prefix(environment: Environment, tmp_path: Path) -> None:
    from ..image.making import artifact

    deb = write_deb(tmp_path, [Item("./opt/env/lib/old.txt", b"deb", 0o644)], "rude")
    lock = replace(
        environment.lock,
        artifacts=(artifact(deb), *environment.lock.artifacts),
        debian=DebianSection(suite="bookworm", architecture="amd64", indexes=()),
    )
    paths = {**environment.paths, artifact(deb).sha256: deb}
    _clash(Environment(lock, paths), tmp_path, "rude installs /opt/env/lib/old.txt")


@pytest.mark.parametrize("change", [b"more", None])
def test_a_tampered_package(environment: Environment, tmp_path: Path, change: bytes | None) -> None:
    (sha256, path), *_ = [
        (a.sha256, environment.paths[a.sha256]) for a in environment.lock.of_kind("conda")
    ]
    data = path.read_bytes()
    other = tmp_path / path.name
    other.write_bytes(data + change if change else bytes([data[0] ^ 1]) + data[1:])
    tampered = Environment(environment.lock, {**environment.paths, sha256: other})
    with pytest.raises(IntegrityError, match="is not the locked file"):
        tampered.build(tmp_path / "image", tmp_path / "cache")
    assert not (tmp_path / "image").exists()


def test_another_python_than_condas(environment: Environment) -> None:
    lock = replace(environment.lock, spec={**environment.lock.spec, "python": "3.11"})
    with pytest.raises(ArtifactError, match=r"is for Python 3.11, and conda's is 3.12.4"):
        plan_layers(lock)
