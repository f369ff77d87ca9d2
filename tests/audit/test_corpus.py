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
from tests.audit.corpus import BREAKAGES, POPULAR, SEEN_TO_BREAK, SEEN_TO_HOLD, Breakage
from tests.audit.reality import Reality, unpack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network


def _fetch(folder: Path, pins: list[str], *arguments: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", *arguments, *pins]
    subprocess.run(command, check=True)
    return sorted(folder.glob("*.whl"))


@pytest.mark.parametrize(
    "breakage", [*BREAKAGES, *SEEN_TO_BREAK], ids=lambda breakage: breakage.label
)
def test_a_known_breakage_is_found(breakage: Breakage, tmp_path: Path) -> None:
    options = ("--no-deps", "--python-version", breakage.python)
    wheels = _fetch(tmp_path, list(breakage.pins), *options)
    audit = audit_wheels(wheels, target_of(breakage.python, "linux-64"), jobs=1)
    found = [finding for finding in audit.findings if matches(breakage.expected, finding)]
    assert breakage.severity in {finding.severity for finding in found}, found


@pytest.mark.parametrize("pins", SEEN_TO_HOLD, ids=lambda pins: pins.split()[0])
def test_what_imports_is_not_said_to_break(pins: str, tmp_path: Path) -> None:
    wheels = _fetch(tmp_path, pins.split(), "--no-deps", "--python-version", "3.11")
    audit = audit_wheels(wheels, target_of("3.11", "linux-64"), jobs=1)
    assert not audit.of("breaks-import", "may-break-import")


def test_nothing_popular_is_said_to_break(tmp_path: Path) -> None:
    wheels = _fetch(tmp_path, list(POPULAR), "--uploaded-prior-to", "2026-11-20T00:00:00Z")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    audit = audit_wheels(wheels, target_of(python, "linux-64"), jobs=2)
    claims = {f.chain[0] if f.chain else f.who.module: f for f in audit.of("breaks-import")}
    false = []
    if claims:
        site = tmp_path / "site"
        unpack(wheels, site, python)
        seen = Reality(python, tmp_path, site).imports(claims)
        false = [finding.text for module, finding in claims.items() if seen[module].fine]
    assert len(wheels) > 100
    assert not false
