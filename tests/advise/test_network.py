"""The first environment on the real index: its ways out come out by themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import envlock

ROOT = Path(__file__).parents[2]


@pytest.mark.network
def test_ways_out_of_the_first_environment(tmp_path: Path) -> None:
    cache = os.environ.get("ENVLOCK_CACHE_DIR") or str(tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-m", "envlock", "--json", "audit", "bnb-cu124", "--advise"],
        cwd=ROOT,
        env={
            **os.environ,
            "ENVLOCK_CACHE_DIR": cache,
            "PYTHONPATH": str(Path(envlock.__file__).parents[1]),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    advice: dict[str, Any] = json.loads(done.stdout)["environments"][0]["advice"][0]
    print({"moved": advice["moved"], "trials": advice["trials"]})
    assert advice["problem"]["natural"] == "3.2.0"
    assert advice["problem"]["users"] == ["bitsandbytes"]
    ways = [
        (way["package"], way["version"], len(way["voids"]), way["yours"]) for way in advice["ways"]
    ]
    assert ways == [
        ("bitsandbytes", "0.45.2", 0, False),
        ("triton", "3.1.0", 1, False),
        ("triton", "2.3.1", 1, True),
    ]
    newer, other, yours = (len(way["breaks"]) for way in advice["ways"])
    assert newer == 0
    assert other < yours / 5
    assert advice["moved"] < 60_000_000
