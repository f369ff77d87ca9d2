"""The command line with GPU checks: not there, made up, recorded, and without the sandbox."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from envlock.lock.codec import dump_lock, load_lock
from envlock.lock.model import BuiltImage
from envlock.lock.proof import Proof, dump_proof, load_proof, proof_path
from envlock.validate.layout import open_layout
from envlock.validate.rootfs import prepare_rootfs

from ..validate.gpu.making import COMPILER, LIB, VERSION
from ..validate.gpu.making import Machine as WithDriver
from ..validate.images import SILENT, Layout, lock_of, python_layer

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.machine import Machine

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(COMPILER is None, reason="needs gcc"),
]

NAME = "example"
CHECKS: list[Any] = [
    {"gpu": ["python3", "-c", "import ctypes; ctypes.CDLL('libcuda.so.1')"]},
    {"gpu": "torch-compile"},
    {"import": "json"},
]


@pytest.fixture
def built(machine: Machine) -> Machine:
    config = {"User": "nonroot", "Env": ["PATH=/usr/bin"]}
    layout = Layout(machine.project / "build" / NAME, config=config)
    layout.raw_layer(python_layer()).write()
    write_lock(machine)
    return machine


def write_lock(machine: Machine, manifest: str | None = None, **spec: Any) -> None:
    whole = {"checks": CHECKS, "platform": {"name": "linux-64", "cuda": "12.4"}, **spec}
    built = BuiltImage(manifest=manifest, config=manifest) if manifest else None
    lock = dataclasses.replace(lock_of(spec=whole), built=built)
    machine.lock(NAME).parent.mkdir(exist_ok=True)
    machine.lock(NAME).write_text(dump_lock(lock))


@pytest.fixture
def driver(tmp_path: Path) -> WithDriver:
    return WithDriver(tmp_path.resolve() / "driver").working().devices().cache(LIB)


def test_no_gpu(built: Machine, tmp_path: Path) -> None:
    done = built.run("validate", NAME, "--record", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["report"]["results"]
    assert [one["status"] for one in results] == ["not-run", "not-run", "passed"]
    proof = load_proof(proof_path(built.lock(NAME).parent, NAME, "linux-64"))
    assert proof.gpu is None
    assert [(one.subject, one.status, one.reason) for one in proof.checks[1:]] == [
        ("torch-compile", "not-run", "no GPU here"), ("import json", "passed", None)
    ]  # fmt: skip
    asked = built.run("validate", NAME, "--gpu", ENVLOCK_DRIVER_ROOT=str(tmp_path))
    assert asked.returncode == 1
    assert "error: no GPU was found" in asked.stderr
    assert "/dev/nvidia0" in asked.stderr


def test_with_one_and_recorded(built: Machine, driver: WithDriver) -> None:
    write_lock(built, accepts=["torch-compile fails"])
    root = {"ENVLOCK_DRIVER_ROOT": str(driver.root)}
    done = built.run("validate", NAME, "--gpu", "--record", "-v", environ=root)
    assert done.returncode == 0, done.stdout + done.stderr
    for text in (
        f"ok    Made-up GPU, driver {VERSION}, CUDA 13.0",
        "known torch-compile",
        "failed, as accepted by the spec: torch-compile fails",
        "1 failed as accepted",
    ):
        assert text in done.stdout
    assert f"driver {VERSION}, found by" in done.stderr
    path = proof_path(built.lock(NAME).parent, NAME, "linux-64")
    text = path.read_text()
    assert str(built.root) not in text
    proof = load_proof(path)
    assert proof.gpu is not None
    assert proof.gpu.names == ("Made-up GPU",)
    assert [one.status for one in proof.checks] == ["passed", "passed", "accepted", "passed"]
    assert proof.image == open_layout(built.project / "build" / NAME).manifest


def test_an_accepted_failure_that_is_gone(built: Machine) -> None:
    write_lock(built, accepts=["import json fails"])
    done = built.run("validate", NAME)
    assert done.returncode == 0
    assert "gone  import json" in done.stdout
    assert "what was accepted is gone; remove the line 'import json fails'" in done.stdout
    strict = built.run("validate", NAME, "--strict")
    assert strict.returncode == 1
    assert "accepted failure no longer happens" in strict.stderr


def test_a_failure_that_nobody_accepts(built: Machine, driver: WithDriver) -> None:
    done = built.run("validate", NAME, "--gpu", ENVLOCK_DRIVER_ROOT=str(driver.root))
    assert done.returncode == 1
    assert "FAIL  torch-compile" in done.stdout
    assert "needs torch and triton" in done.stdout


def test_a_driver_that_is_too_old(built: Machine, driver: WithDriver) -> None:
    driver.working(cuda=12020)
    done = built.run("validate", NAME, "--gpu", ENVLOCK_DRIVER_ROOT=str(driver.root))
    assert done.returncode == 1
    assert "the driver supports CUDA 12.2, and the spec's platform wants 12.4" in done.stdout


def test_run(built: Machine, driver: WithDriver) -> None:
    source = "import ctypes; ctypes.CDLL('libcuda.so.1'); open('/dev/nvidia0', 'w').write('x')"
    command = (NAME, "--", "python3", "-c", source)
    assert built.run("run", *command).returncode == 1
    done = built.run("run", "--gpu", *command, ENVLOCK_DRIVER_ROOT=str(driver.root))
    assert done.returncode == 0, done.stderr


class TestUnpacked:
    @pytest.fixture
    def rootfs(self, built: Machine, tmp_path: Path) -> Path:
        image = open_layout(built.project / "build" / NAME)
        root = prepare_rootfs(image, cache=tmp_path / "unpacked", reporter=SILENT)
        write_lock(built, image={"env": {"PATH": "/usr/bin"}, "user": "nonroot"})
        return root

    def test_in_the_sandbox(self, built: Machine, rootfs: Path, driver: WithDriver) -> None:
        lock = str(built.lock(NAME))
        for which in ((NAME,), ("--lock", lock)):
            done = built.run("validate", *which, "--rootfs", str(rootfs))
            assert done.returncode == 0, done.stderr
        root = {"ENVLOCK_DRIVER_ROOT": str(driver.root)}
        done = built.run("validate", NAME, "--rootfs", str(rootfs), "--gpu", environ=root)
        assert "ok    Made-up GPU" in done.stdout

    def test_what_cannot_be(self, built: Machine, rootfs: Path) -> None:
        done = built.run("validate", NAME, "--rootfs", str(rootfs), "--record")
        assert (done.returncode, "has none" in done.stderr) == (2, True)
        assert "which environment" in built.run("validate", "--rootfs", str(rootfs)).stderr
        done = built.run("validate", NAME, "--rootfs", str(rootfs / "gone"))
        assert (done.returncode, "no such folder" in done.stderr) == (2, True)
        assert built.run("validate").returncode == 2
        lock, other = str(built.lock(NAME)), "linux-aarch64"
        done = built.run("validate", "--lock", lock, "--platform", other, "--rootfs", str(rootfs))
        assert (done.returncode, "this is a lock for linux-64" in done.stderr) == (2, True)

    def test_no_bubblewrap(self, built: Machine, rootfs: Path, tmp_path: Path) -> None:
        for name in ("python3", "true"):
            (tmp_path / name).symlink_to(shutil.which(name) or "")
        empty = {"PATH": str(tmp_path)}
        done = built.run("validate", NAME, "--rootfs", str(rootfs), environ=empty)
        assert (done.returncode, "bwrap is not installed" in done.stderr) == (1, True)
        done = built.run(
            "validate", NAME, "--rootfs", str(rootfs), "--no-sandbox", "-q", environ=empty
        )
        assert "NO SANDBOX" in done.stderr
        assert done.returncode == (0 if os.geteuid() == 0 else 1)


def test_a_stale_proof(machine: Machine) -> None:
    machine.write_spec(NAME)
    assert machine.run("solve", NAME).returncode == 0
    digest = f"sha256:{'a' * 64}"
    lock = load_lock(machine.lock(NAME))
    path = proof_path(machine.lock(NAME).parent, NAME, "linux-64")
    proof = Proof(
        name=NAME, platform="linux-64", image=digest, input=lock.input,
        date="2026-01-31", envlock="1", gpu=None, checks=(),
    )  # fmt: skip
    path.write_text(dump_proof(proof))
    done = machine.run("solve", "--check", "--strict", "--json")
    assert (done.returncode, json.loads(done.stdout)["environments"][0]["proof"]) == (0, "fresh")
    other = BuiltImage(manifest=f"sha256:{'b' * 64}", config=digest)
    machine.lock(NAME).write_text(dump_lock(dataclasses.replace(lock, built=other)))
    done = machine.run("solve", "--check")
    assert done.returncode == 0
    assert f"warning: locks/{path.name}: the proof is of {digest}" in done.stderr
    done = machine.run("solve", "--check", "--strict")
    assert done.returncode == 1
    assert "--record" in done.stderr
    path.write_text("{}")
    done = machine.run("solve", "--check")
    assert (done.returncode, f"locks/{path.name}" in done.stderr) == (1, True)
