"""A way to audit a few made-up wheels in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from envlock.audit import Audit, Finding, Target, audit_wheels
from tests.audit.making import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Auditor(Protocol):
    """Audits wheels given as ``name -> {file: text}``."""

    def __call__(
        self,
        wheels: Mapping[str, Mapping[str, str | bytes]],
        *,
        python: str = "3.11",
        requires: Mapping[str, list[str]] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> Audit: ...


@pytest.fixture
def audit(tmp_path: Path) -> Auditor:
    def run(
        wheels: Mapping[str, Mapping[str, str | bytes]],
        *,
        python: str = "3.11",
        requires: Mapping[str, list[str]] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> Audit:
        paths = [
            make_wheel(
                tmp_path,
                name,
                files,
                requires=(requires or {}).get(name, ()),
                version=(versions or {}).get(name, "1.0"),
            )
            for name, files in wheels.items()
        ]
        return audit_wheels(paths, Target(python=python), jobs=1)

    return run


def texts(findings: tuple[Finding, ...]) -> list[str]:
    """Return findings as ``who needs what``."""
    return [finding.text for finding in findings]
