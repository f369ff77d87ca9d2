"""Known breakages and popular distributions, from the real index.

``python -m pytest tests/audit/test_corpus.py -m network`` is the command that measures
recall and precision; each false ``breaks-import`` is shown with what was said.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from envlock.audit import audit_wheels, matches, target_of
from tests.audit.corpus import BREAKAGES, POPULAR, Breakage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network


def _fetch(folder: Path, pins: list[str], *arguments: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", *arguments, *pins]
    subprocess.run(command, check=True)
    return sorted(folder.glob("*.whl"))


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.label)
def test_a_known_breakage_is_found(breakage: Breakage, tmp_path: Path) -> None:
    options = ("--no-deps", "--python-version", breakage.python)
    wheels = _fetch(tmp_path, list(breakage.pins), *options)
    audit = audit_wheels(wheels, target_of(breakage.python, "linux-64"), jobs=1)
    found = [finding for finding in audit.findings if matches(breakage.expected, finding)]
    assert breakage.severity in {finding.severity for finding in found}, found


def test_nothing_popular_is_said_to_break(tmp_path: Path) -> None:
    wheels = _fetch(tmp_path, list(POPULAR), "--uploaded-prior-to", "2026-11-20T00:00:00Z")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    audit = audit_wheels(wheels, target_of(python, "linux-64"))
    claims = audit.of("breaks-import")
    false = [f for f in claims if _imports(f.chain[0] if f.chain else f.who.module, tmp_path)]
    assert len(wheels) > 100
    assert not false, [finding.text for finding in false]


def _imports(module: str, folder: Path) -> bool:
    """Import a module with exactly these wheels installed, in a process of its own."""
    place = folder / "site"
    if not place.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        wheels = [str(wheel) for wheel in folder.glob("*.whl")]
        subprocess.run([*command, str(place), *wheels], check=True)
    code = f"import sys; sys.path.insert(0, {str(place)!r}); import {module}"
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False).returncode == 0
