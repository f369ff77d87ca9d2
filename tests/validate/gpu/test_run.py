"""GPU checks run: the driver asked from inside, ready-made checks, and what they say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from envlock.limits import Limits
from envlock.spec.schema import schema_text
from envlock.validate.checks import validate_image
from envlock.validate.gpu.catalogue import FOLDER, READY
from envlock.validate.gpu.driver import Gpu, access, find_driver
from envlock.validate.gpu.run import GpuRunner, enter_gpu
from envlock.validate.inside import Inside
from envlock.validate.sandbox import DEFAULT_PATH, Bind, Bubblewrap, find_bwrap
from envlock.validate.unprotected import Unprotected

from ..images import SILENT, SITE, Layout, dist, lock_of, member, python_layer
from .making import COMPILER, LIB, VERSION, Machine

HEADERS = Path(sysconfig.get_path("include"), "Python.h")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs gcc")
needs_headers = pytest.mark.skipif(not HEADERS.is_file(), reason="needs Python's headers")


def here(**env: str) -> Inside:
    """Return this machine as the place of checks."""
    return Inside(
        sandbox=Unprotected(),
        rootfs=Path("/"),
        env={"PATH": os.environ["PATH"], **env},
        user=(os.getuid(), os.getgid()),
        workdir="/",
        home=None,
        limits=Limits(seconds=60),
    )


def runner(folder: Path = FOLDER, **env: str) -> GpuRunner:
    return GpuRunner(
        inside=here(**env), python=sys.executable, gpu=Gpu(), ready=None, folder=folder
    )


def test_the_names_in_the_schema_are_the_catalogues() -> None:
    checks = json.loads(schema_text())["$defs"]["checks"]["items"]["properties"]["gpu"]
    assert checks["oneOf"][1]["enum"] == list(READY)
    for ready in READY.values():
        source = (FOLDER / f"{ready.module}.py").read_text()
        assert "def check() -> str:" in source


def test_the_search_paths() -> None:
    gpu = Gpu(library_path="/driver/lib", program_path="/driver/bin", env={"A": "1"})
    env = enter_gpu(here(LD_LIBRARY_PATH="/own", PATH="/bin"), gpu).env
    assert env == {"LD_LIBRARY_PATH": "/driver/lib:/own", "PATH": "/bin:/driver/bin", "A": "1"}
    assert enter_gpu(here(PATH="/bin"), gpu).env["LD_LIBRARY_PATH"] == "/driver/lib"


def check_of(tmp_path: Path, source: str, *, needs: list[str] | None = None, **env: str) -> Any:
    """Run a check with this source by the real harness; return its result."""
    shutil.copy(FOLDER / "harness.py", tmp_path)
    (tmp_path / "torch_cuda.py").write_text(source)
    for name in ["torch", *(needs or [])]:
        (tmp_path / f"{name}.py").touch()
    return runner(tmp_path, **env).check({"gpu": "torch-cuda"}, "triton")


def test_a_ready_check_that_passes(tmp_path: Path) -> None:
    result = check_of(tmp_path, "def check():\n    print('noise')\n    return 'error 1e-7'\n")
    assert (result.status, result.detail, result.override) == ("passed", ("error 1e-7",), "triton")
    assert result.seconds > 0


def test_a_wrong_number_is_a_sentence(tmp_path: Path) -> None:
    result = check_of(tmp_path, "def check():\n    assert 1 > 2, 'it is off by 3 %'\n")
    assert (result.status, result.detail) == ("failed", ("it is off by 3 %",))
    assert any("torch_cuda.py" in line for line in result.trace)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("from json import triton_key\n", "ImportError: cannot import name 'triton_key'"),
        ("def check():\n    raise RuntimeError\n", "RuntimeError"),
        ("def check():\n    raise SystemExit(3)\n", "SystemExit: 3"),
        (
            "def check():\n    raise OSError('inductor raised:\\n\\n gone\\n more')\n",
            "OSError: inductor raised: gone",
        ),
        ("import os\nos.abort()\n", "ended by signal SIGABRT"),
        ("import os\nos._exit(0)\n", "it ended the process by itself"),
    ],
)
def test_what_breaks_is_told_in_one_line(tmp_path: Path, source: str, told: str) -> None:
    result = check_of(tmp_path, source)
    assert result.status == "failed"
    assert result.detail[0].startswith(told)
    assert "more" not in result.detail[0]
    assert len(result.detail) == 1


def test_a_missing_distribution_is_named() -> None:
    result = runner().check({"gpu": "transformers-4bit-generate"}, None)
    assert result.status == "failed"
    assert "needs torch and bitsandbytes" in result.detail[0]
    assert result.trace == ()


def test_an_unknown_name() -> None:
    result = runner().check({"gpu": "torch-fly"}, None)
    assert result.status == "failed"
    assert "torch-compile" in result.detail[0]


def harness(tmp_path: Path, **env: str) -> str:
    """Ask the real harness for a check that compiles; return its sentence."""
    shutil.copy(FOLDER / "harness.py", tmp_path)
    (tmp_path / "made.py").write_text("def check(): return 'ran'\n")
    request = {"mark": "M:", "module": "made", "needs": [], "compiler": True}
    done = subprocess.run(
        [sys.executable, tmp_path / "harness.py"],
        input=json.dumps(request).encode(),
        env={"PATH": str(tmp_path / "bin"), **env},
        capture_output=True,
        check=True,
    )
    reply = json.loads(done.stdout.partition(b"M:")[2])
    assert reply["trace"] == []
    return str(reply["says"])


def program(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class TestCompiler:
    def test_none(self, tmp_path: Path) -> None:
        assert "neither CC, gcc nor clang" in harness(tmp_path)

    @needs_headers
    def test_one_that_has_to_be_named(self, tmp_path: Path) -> None:
        program(tmp_path, "tcc", "exit 0")
        assert "set CC=tcc" in harness(tmp_path)
        assert harness(tmp_path, CC="tcc") == "ran"

    @needs_headers
    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        assert "gone-cc does not run" in harness(tmp_path, CC="/gone-cc")

    @needs_headers
    def test_one_without_headers(self, tmp_path: Path) -> None:
        program(tmp_path, "gcc", "echo 'x.c:1: fatal error: stdlib.h: No such file' >&2; exit 1")
        told = harness(tmp_path)
        assert "C library's headers" in told
        assert "stdlib.h: No such file" in told

    @needs_compiler
    @needs_headers
    def test_a_real_one(self, tmp_path: Path) -> None:
        assert harness(tmp_path, PATH=os.environ["PATH"]) == "ran"


@needs_compiler
class TestLook:
    """The driver is a library that is really called, in a process of its own."""

    def look(self, machine: Machine, wanted: str | None = "12.4") -> Any:
        return runner(LD_LIBRARY_PATH=str(machine.root / LIB)).look(wanted)

    def test_a_driver(self, tmp_path: Path) -> None:
        facts, went_on, result = self.look(Machine(tmp_path).working(cuda=12040, count=2))
        assert facts.names == ("Made-up GPU", "Second GPU")
        assert facts.cuda == "12.4"
        assert (result.kind, result.status) == ("driver", "passed")
        assert went_on.refused == ""

    def test_too_old(self, tmp_path: Path) -> None:
        _, went_on, result = self.look(Machine(tmp_path).working(cuda=12020))
        assert result.status == "failed"
        assert "supports CUDA 12.2, and the spec's platform wants 12.4" in result.detail[0]
        refused = went_on.check({"gpu": ["true"]}, None)
        assert (refused.status, refused.detail) == ("not-run", result.detail)

    def test_newer_by_number_and_not_by_letters(self, tmp_path: Path) -> None:
        assert self.look(Machine(tmp_path).working(cuda=12100))[2].status == "passed"

    def test_it_does_not_start(self, tmp_path: Path) -> None:
        facts, _, result = self.look(Machine(tmp_path).working(init=100))
        assert facts.names == ()
        assert "cuInit: CUDA_ERROR_NO_DEVICE (100)" in result.detail[0]

    def test_no_device(self, tmp_path: Path) -> None:
        assert "shows no GPU" in self.look(Machine(tmp_path).working(count=0))[2].detail[0]

    def test_no_library(self, tmp_path: Path) -> None:
        assert "libcuda.so.1" in self.look(Machine(tmp_path))[2].detail[0]


def test_an_image_without_python() -> None:
    gone = GpuRunner(inside=here(), python="/no-such-python", gpu=Gpu(), ready=None)
    facts, went_on, result = gone.look("12.4")
    assert (facts.names, went_on, result) == ((), gone, None)


@needs_compiler
@pytest.mark.container
@pytest.mark.parametrize("kind", ["bubblewrap", "no sandbox"])
def test_a_whole_image_with_a_gpu(tmp_path: Path, kind: str) -> None:
    if kind == "no sandbox" and os.geteuid() != 0:
        pytest.skip("only root can enter an image without the sandbox")
    machine = Machine(tmp_path.resolve() / "machine").working().devices().cache(LIB)
    gpu = access(find_driver(machine.root))
    layout = Layout(tmp_path / "layout", config={"User": "nonroot", "WorkingDir": "/app"})
    layout.raw_layer(python_layer()).layer(
        *dist("torch", "2.6.0"),
        member(f"{SITE}/triton.py", ""),
    )
    loaded = "import ctypes, os; ctypes.CDLL('libcuda.so'); open('/dev/nvidia0', 'w').write('x')"
    changed = "open('/run/nvidia-driver/lib/libcuda.so.1', 'a')"
    checks: list[Any] = [
        {"gpu": ["python3", "-c", loaded]},
        {"gpu": ["python3", "-c", changed]},
        {"gpu": "torch-cuda"},
        {"gpu": "torch-compile"},
        {"run": ["python3", "-c", "import os; assert not os.path.exists('/dev/nvidia0')"]},
    ]
    spec = {"checks": checks, "platform": {"name": "linux-64", "cuda": "12.4"}}
    spec["accepts"] = ["torch-compile fails"]
    box = Bubblewrap(find_bwrap(DEFAULT_PATH)) if kind == "bubblewrap" else Unprotected()
    report = validate_image(
        layout.write(),
        lock_of(("torch", "2.6.0"), spec=spec),
        cache=tmp_path / "cache",
        sandbox=box,
        reporter=SILENT,
        gpu=gpu,
    )
    statuses = [(one.kind, one.status) for one in report.results]
    assert statuses == [
        ("distributions", "passed"), ("requirements", "passed"), ("driver", "passed"),
        ("gpu", "passed"), ("gpu", "failed"), ("gpu", "failed"), ("gpu", "accepted"),
        ("run", "passed"),
    ], report  # fmt: skip
    assert report.gpu is not None
    assert (report.gpu.names, report.gpu.driver) == (("Made-up GPU",), VERSION)
    assert "/run/nvidia-driver/lib/libcuda.so.1" in report.results[4].detail[-1]
    assert "torch" in report.results[5].detail[0]
    assert "neither CC, gcc nor clang" in report.results[6].detail[1]


def test_binds_of_the_scripts() -> None:
    shown = GpuRunner(
        inside=here(), python="x", gpu=Gpu(binds=(Bind(source=Path("/a"), target="/b"),))
    )
    assert [bind.target for bind in shown._binds()] == ["/b", "/run/envlock-ready"]
