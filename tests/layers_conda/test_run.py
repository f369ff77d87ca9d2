"""This machine's CPython as a conda package: images and prefixes of it run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envlock.bytecode import apart
from envlock.image.build import Workshop
from envlock.install.environment import install
from envlock.install.prefix import MARKER, read_marker
from envlock.lock.model import BuiltImage, BuiltLayer, Lock, LockedOverride
from envlock.pipeline import Built, Running, build
from envlock.progress import SILENT
from envlock.validate.checks import validate_image
from envlock.validate.prefix import validate_prefix
from envlock.validate.sandbox import Bubblewrap, find_bwrap

from ..container.judges import need
from ..image.making import Environment, artifact, check_layout
from ..makers.cpython import FEATURE
from ..makers.wheels import make_wheel
from .building import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.container
CHECKS: list[dict[str, object]] = [
    {"import": "pure"},
    {"run": ["one"]},
    {"run": ["sh", "-c", "pure; test $? = 3"]},
    {"run": ["python", "-c", "import ssl, ctypes, zlib, sqlite3, decimal, multiprocessing"]},
    {"run": ["python", "-c", "import sys; assert sys.prefix == PREFIX, sys.prefix"]},
    {"run": ["sh", "-c", "test $NATIVE = yes && test $CONDA_PREFIX = PREFIX"]},
]


def checks(prefix: str) -> list[dict[str, object]]:
    """Return the checks with the prefix that they look for."""

    def filled(word: str) -> str:
        return word.replace("== PREFIX", f"== {prefix!r}").replace("PREFIX", prefix)

    return [
        {key: [filled(word) for word in value] if isinstance(value, list) else value}
        for check in CHECKS
        for key, value in check.items()
    ]  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    need("bwrap")
    image = {"user": "nonroot", "workdir": "/app"}
    return whole(tmp_path_factory.mktemp("artifacts"), image=image, checks=checks("/opt/env"))


def bwrap() -> Bubblewrap:
    return Bubblewrap(find_bwrap(os.environ["PATH"]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where images are built one after the other: what did not change is packed once."""
    return tmp_path_factory.mktemp("place")


def test_an_image(environment: Environment, place: Path) -> None:
    built = environment.build(place / "image", place / "cache", workers=2)
    assert check_layout(place / "image") == built.digests.manifest
    report = validate_image(
        place / "image", environment.lock, cache=place / "cache", sandbox=bwrap(),
        reporter=SILENT,
    )  # fmt: skip
    assert report.ok, [result for result in report.results if result.status != "passed"]
    assert [r.subject for r in report.results][:2] == [
        "3 distributions are the locked ones", "1 requirement holds",
    ]  # fmt: skip


def test_an_image_with_compiled_modules(environment: Environment, place: Path) -> None:
    """The same bytes each time; the modules are found without their sources being read."""
    environment.build(place / "plain", place / "cache", workers=2)
    wanted = environment.with_image(**environment.lock.spec["image"], precompile=True)
    check = """
import importlib.util, pure
spec = importlib.util.find_spec("pure")
data, source = open(spec.cached, "rb").read(), open(spec.origin, "rb").read()
assert data[:5] == importlib.util.MAGIC_NUMBER + bytes([1]), data[:8]
assert data[8:16] == importlib.util.source_hash(source)
"""
    spec = {**wanted.lock.spec, "checks": [{"run": ["python", "-c", check]}]}
    wanted = replace(wanted, lock=replace(wanted.lock, spec=spec))
    first = wanted.build(place / "one", place / "cache", workers=2, sandbox=bwrap)
    assert check_layout(place / "one") == first.digests.manifest
    names = sorted((place / "plain" / "blobs" / "sha256").iterdir())
    assert len(first.digests.layers) == len(names) - 2 + 1
    report = validate_image(
        place / "one", wanted.lock, cache=place / "cache", sandbox=bwrap(), reporter=SILENT
    )
    assert report.ok, report
    anew = wanted.build(place / "two", place / "cache", sandbox=bwrap, workers=2, fresh=True)
    assert anew.digests == first.digests
    known = wanted.build(place / "three", place / "cache", sandbox=_no_sandbox, workers=2)
    assert known.digests == first.digests
    check_compiled_elsewhere(wanted, first, place)


def test_modules_are_compiled_wheel_by_wheel(
    environment: Environment, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel more is compiled alone; and the image as a whole gives the same bytes."""
    cache = place / "cache"
    wanted = environment.with_image(**environment.lock.spec["image"], precompile=True)
    wanted.build(place / "image", cache, workers=2, sandbox=bwrap)
    before = {path.name for path in (cache / "segments").glob("*.pyc")}
    wheel = make_wheel(tmp_path, "more", "1.0", files={"more/__init__.py": "M = 1\n"})
    lock = replace(wanted.lock, artifacts=(*wanted.lock.artifacts, artifact(wheel)))
    more = Environment(lock, {**wanted.paths, artifact(wheel).sha256: wheel})
    made = more.build(tmp_path / "more", cache, workers=2, sandbox=bwrap)
    after = {path.name for path in (cache / "segments").glob("*.pyc")}
    assert len(before) == 2
    assert len(after - before) == 1
    assert [path.name for path in (cache / "segments").iterdir() if path.is_dir()] == []
    monkeypatch.setattr(apart, "PYTHONS", frozenset())
    whole = more.build(tmp_path / "whole", cache, workers=2, sandbox=bwrap, fresh=True)
    assert whole.digests == made.digests


def check_compiled_elsewhere(wanted: Environment, first: Built, place: Path) -> None:
    """What the lock records is taken from where a layer is given, unless it is another."""
    layers = tuple(BuiltLayer(**asdict(layer)) for layer in first.digests.layers)
    digests = (first.digests.manifest, first.digests.config)
    record = BuiltImage(manifest=digests[0], config=digests[1], layers=layers)
    lock = replace(wanted.lock, built=record)
    top = place / "one" / "blobs" / layers[-1].digest.replace(":", "/")
    damaged = place / "damaged"
    damaged.write_bytes(top.read_bytes()[:-1] + b"x")

    def build_with(file: Path, lock: Lock) -> Built:
        cache = place / "elsewhere"
        workshop = Workshop(cache=cache, workers=2, layers={layers[-1].digest: file})
        return build(
            lock, wanted.paths, place / "given", workshop, SILENT, prove=None,
            running=Running(sandbox=_no_sandbox),
        )  # fmt: skip

    assert build_with(top, lock).digests == first.digests
    shutil.rmtree(place / "given")
    other = replace(layers[0], digest=layers[1].digest, diff_id=layers[1].diff_id)
    below = replace(lock, built=replace(record, layers=(other, *layers[1:])))
    for file, one in ((damaged, lock), (top, below), (top, wanted.lock)):
        with pytest.raises(_CompiledError):
            build_with(file, one)


class _CompiledError(Exception):
    """Somebody wants to compile."""


def _no_sandbox() -> Bubblewrap:
    raise _CompiledError


def test_a_forced_wheel_replaces_condas_copy(
    environment: Environment, place: Path, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "native", "2.0", files={"native.py": "VALUE = 2\n"})
    forced = artifact(wheel)
    lock = replace(
        environment.lock,
        artifacts=(*environment.lock.artifacts, forced),
        overrides=(LockedOverride(package="native", version="2.0", voids=(), replaces="native"),),
        spec={
            **environment.lock.spec,
            "overrides": [{"package": "native", "checks": [{"version": "2.0"}]}],
            "checks": [
                {"run": ["python", "-c", "import native; assert native.VALUE == 2"]},
                {"run": ["sh", "-c", "test -f /opt/env/share/native/data"]},
            ],
        },
    )
    paths = {**environment.paths, forced.sha256: wheel}
    built = build(
        lock, paths, place / "image", Workshop(cache=place / "cache", workers=1), SILENT,
        prove=lambda layout: validate_image(
            layout, lock, cache=place / "cache", sandbox=bwrap(), reporter=SILENT
        ),
    )  # fmt: skip
    assert built.report is not None
    assert built.report.count("passed") == 5


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: the machine's Python leaves little room for its prefix."""
    folder = Path(tempfile.mkdtemp(prefix="e", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def test_a_prefix(environment: Environment, short: Path) -> None:
    prefix = short / "v"
    lock = replace(environment.lock, spec={**environment.lock.spec, "checks": checks(str(prefix))})

    def prove(content: Path, marker: object) -> None:
        report = validate_prefix(
            prefix, lock, content=content, env={"NATIVE": "yes"}, home=Path.home(),
            sandbox=bwrap(), reporter=SILENT,
        )  # fmt: skip
        assert report.ok, report

    for _ in range(2):  # the second time over the first
        done = install(lock, environment.paths, prefix, None, SILENT, workers=2, prove=prove)
        assert done.env == {"NATIVE": "yes"}
        assert sorted(path.name for path in short.iterdir()) == ["v"]
        (prefix / "lib" / "left-over").touch()
    assert read_marker(prefix).lock == lock
    said = subprocess.run(
        [prefix / "bin" / "one"], capture_output=True, text=True, check=True, env={}
    )
    assert said.stdout == "3\n"
    smaller = replace(
        lock, artifacts=tuple(item for item in lock.artifacts if item.name != "native")
    )
    install(smaller, environment.paths, prefix, None, SILENT, workers=1, prove=None)
    assert not (prefix / f"lib/python{FEATURE}/site-packages/native.py").exists()
    assert not (prefix / "lib" / "left-over").exists()
    assert (prefix / MARKER).is_file()
