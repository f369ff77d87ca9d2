"""The first environment under review, from the real index and without its wheels."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .worlds import blocks_of

ROOT = Path(__file__).parents[2]
NAME = "bnb-cu124"
LOCK = f"locks/{NAME}.linux-64.lock.json"


class _Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for file in (f"envs/{NAME}.yaml", LOCK):
            (folder / file).parent.mkdir(parents=True)
            shutil.copy(ROOT / file, folder / file)
        self.spec = folder / f"envs/{NAME}.yaml"
        self.lock = folder / LOCK

    def solve(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "envlock", "solve", NAME, *options],
            cwd=self.folder,
            env={**os.environ, "ENVLOCK_CACHE_DIR": str(self.folder / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )


def _override(text: str) -> dict[str, Any]:
    (environment,) = json.loads(text)["environments"]
    (override,) = environment["review"]["overrides"]
    assert isinstance(override, dict)
    return override


@pytest.mark.network
def test_the_first_environment(tmp_path: Path) -> None:
    project = _Project(tmp_path)
    before = project.lock.read_bytes()
    done = project.solve("--json")
    assert done.returncode == 0, done.stderr
    assert project.lock.read_bytes() == before
    assert not list((tmp_path / "cache" / "artifacts").rglob("*.whl"))
    override = _override(done.stdout)
    assert override["natural"] == "3.2.0"
    assert [finding["text"] for finding in override["fixes"]] == [
        f"bitsandbytes.triton.int8_matmul_{kind}_dequantize needs triton.ops.matmul_perf_model"
        for kind in ("mixed", "rowwise")
    ]
    broken = {finding["text"] for finding in override["breaks"]}
    key = "needs triton.compiler.compiler.triton_key"
    assert f"torch._inductor.codecache.CacheBase.get_system {key}" in broken
    assert f"torch.utils._triton.triton_hash_with_backend {key}" in broken

    lines = project.spec.read_text().splitlines(keepends=True)
    project.spec.write_text("".join(line for line in lines if "triton_key" not in line))
    failed = project.solve()
    assert failed.returncode == 1
    assert "torch/_inductor/codecache.py:207" in failed.stderr
    assert f"torch._inductor {key}" in blocks_of(failed.stderr)["under the override of triton"]
    assert project.lock.read_bytes() == before
