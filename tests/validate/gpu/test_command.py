"""The part that travels: it runs where nothing but the standard library can be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envlock.lock.codec import dump_lock
from envlock.lock.proof import load_proof

from ..images import Layout, lock_of, python_layer
from .making import COMPILER, LIB, Machine

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = Path(__file__).parents[3] / "src"
ALONE = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from envlock.validate.gpu.command import main
code = main(sys.argv[1:])
ours = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - {"__main__"}
assert ours == {"envlock"}, ours
sys.exit(code)
"""


def alone(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command isolated (-I: no variables, -S: no site-packages)."""
    argv = [sys.executable, "-I", "-S", "-W", "error", "-c", ALONE, SOURCE, *arguments]
    environ: Mapping[str, str] = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(
        [str(word) for word in argv], env=environ, capture_output=True, text=True, check=False
    )


def test_a_machine_without_a_gpu(tmp_path: Path) -> None:
    done = alone("--python", sys.executable, "--driver-root", tmp_path, "--checks", "torch-cuda")
    assert done.returncode == 1
    assert "NO SANDBOX" in done.stderr
    assert "not found: the driver's library: libcuda.so.1" in done.stderr
    assert "FAIL  GPU, driver ?, CUDA ?" in done.stdout
    image = alone("--image", tmp_path, "--driver-root", tmp_path)
    assert (image.returncode, image.stdout) == (1, "")
    assert "error: no GPU was found" in image.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--checks", "torch-fly"], "no ready-made check 'torch-fly'"),
        (["--record", "x"], "--record needs --image and --lock"),
        (["--lock", "/no/lock"], "there is no lock"),
    ],
)
def test_wrong_usage(arguments: list[str], told: str) -> None:
    done = alone(*arguments)
    assert done.returncode in {1, 2}
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(COMPILER is None, reason="needs gcc")
def test_this_machines_python(tmp_path: Path) -> None:
    machine = Machine(tmp_path.resolve()).working().devices().cache(LIB)
    done = alone(
        "--python", sys.executable, "--driver-root", machine.root, "--checks",
        "torch-cuda,triton-kernel", "--json", "--cuda", "12.4",
        LD_LIBRARY_PATH=str(machine.root / LIB),
    )  # fmt: skip
    assert done.returncode == 1  # there is no torch here
    report = json.loads(done.stdout)["report"]
    assert report["gpu"]["names"] == ["Made-up GPU"]
    assert [one["status"] for one in report["results"]] == ["passed", "failed", "failed"]
    assert "needs torch, not installed" in report["results"][1]["detail"][0]


@pytest.mark.skipif(COMPILER is None, reason="needs gcc")
@pytest.mark.container
def test_an_image_with_its_lock(tmp_path: Path) -> None:
    machine = Machine(tmp_path.resolve() / "machine").working().devices().cache(LIB)
    layout = Layout(tmp_path / "layout", config={"User": "nonroot"}).raw_layer(python_layer())
    layout.write()
    override = {
        "package": "triton",
        "version": "==2.3.1",
        "checks": [{"gpu": "torch-compile"}, {"import": "x"}],
        "accepts": ["torch-compile fails"],
    }
    checks = [{"gpu": ["python3", "-c", "import ctypes; ctypes.CDLL('libcuda.so')"]}]
    platform = {"name": "linux-64", "cuda": "12.4"}
    lock = tmp_path / "example.linux-64.lock.json"
    spec = {"platform": platform, "checks": checks, "overrides": [override]}
    lock.write_text(dump_lock(lock_of(spec=spec)))
    proof = tmp_path / "proof.json"
    done = alone(
        "--image", layout.root, "--lock", lock, "--driver-root", machine.root, "--record", proof
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed, as accepted by the override of triton: torch-compile fails" in done.stdout
    found = load_proof(proof)
    assert [one.status for one in found.checks] == ["passed", "accepted", "passed"]
    assert found.image.startswith("sha256:")
