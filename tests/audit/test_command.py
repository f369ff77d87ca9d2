"""``envlock audit`` as people and scripts call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.audit.making import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "envlock", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "ENVLOCK_CACHE_DIR": str(folder / "cache"), "NO_COLOR": "1"},
    )


@pytest.fixture
def wheels(tmp_path: Path) -> list[str]:
    app = {"app/__init__.py": "from . import core\n", "app/core.py": "from lib import gone\n"}
    made = [make_wheel(tmp_path, "app", app), make_wheel(tmp_path, "lib", {"lib.py": "x = 1\n"})]
    return [str(path) for path in made]


def test_findings_with_place_and_chain(tmp_path: Path, wheels: list[str]) -> None:
    done = _run(tmp_path, "audit", "--artifacts", *wheels)
    assert done.returncode == 1
    assert "app.core needs lib.gone, of lib" in done.stdout
    assert "app 1.0, app/core.py:1" in done.stdout
    assert "reached by import app > app.core" in done.stdout
    assert "1 import cannot work" in done.stderr
    assert "Traceback" not in done.stderr


def test_places_of_one_need_stand_together(tmp_path: Path) -> None:
    files = {f"app/{name}.py": "from lib import gone\n" for name in "abcde"}
    made = [
        make_wheel(tmp_path, "app", {"app/__init__.py": "from . import a, b, c, d, e\n", **files}),
        make_wheel(tmp_path, "lib", {"lib.py": "x = 1\n"}),
    ]
    arguments = ["audit", "--artifacts", *map(str, made)]
    said = _run(tmp_path, *arguments).stdout
    assert "breaks-import: importing it fails (5)" in said
    assert said.count("needs lib.gone") == 1
    assert "    and in 4 other places: app/b.py:1, app/c.py:1, app/d.py:1 and 1 more\n" in said
    assert _run(tmp_path, "-v", *arguments).stdout.count("needs lib.gone") == 5


def test_json(tmp_path: Path, wheels: list[str]) -> None:
    done = _run(tmp_path, "--json", "audit", "--artifacts", *wheels)
    document, _ = json.JSONDecoder().raw_decode(done.stdout)
    (audit,) = document["audits"]
    assert audit["counts"]["breaks-import"] == 1
    assert audit["roots"] == {"app": "broken", "lib": "ok"}


def test_nothing_broken_is_zero(tmp_path: Path, wheels: list[str]) -> None:
    done = _run(tmp_path, "audit", "--artifacts", wheels[1], "--python", "3.12")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments", [["--python", "three"], ["--platform", "plan9"], ["--artifacts", "absent.whl"]]
)
def test_wrong_usage(tmp_path: Path, wheels: list[str], arguments: list[str]) -> None:
    done = _run(tmp_path, "audit", "--artifacts", *wheels, *arguments)
    assert done.returncode == 2
