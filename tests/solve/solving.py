"""Solve specs by the real uv against an index on loopback."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.store import Store
from envlock.progress import SILENT
from envlock.solve.pypi.metadata import MetadataReader
from envlock.solve.pypi.solve import PypiSolution, solve_pypi
from envlock.solve.pypi.uv import Uv
from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec

from ..makers.machine import HEAD

if TYPE_CHECKING:
    from ..makers.index import Index

SHOWN = "envs/one.yaml"


@dataclass
class Solver:
    """A machine's means to solve; ``urls``: more indexes by name."""

    root: Path
    index: Index
    urls: dict[str, str] = field(default_factory=dict)

    def __call__(self, body: str, preferred: dict[str, str] | None = None) -> PypiSolution:
        """Solve a spec with this body below the usual head (it begins in line 6)."""
        text = HEAD.format(name="one") + body
        spec = parse_spec(parse_document(text, SHOWN), SHOWN)
        urls = {index.name: index.url for index in spec.indexes}
        all_urls = {**urls, "pypi": self.index.url, **self.urls}
        http = Http(logins=all_urls.values)
        fetcher = Fetcher(Store(self.root / "cache"), http)
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.root),
            "NO_PROXY": "127.0.0.1",
            "UV_HTTP_RETRIES": "0",
        }
        uv = Uv(
            index_urls=all_urls,
            environ=environ,
            cache=self.root / "uv",
            python=Path(sys.executable),
        )
        metadata = MetadataReader(http, fetcher, self.root / "metadata")
        reporter: Any = SILENT
        return solve_pypi(spec, spec.targets[0], uv, metadata, reporter, preferred=preferred)


def versions(solution: PypiSolution) -> dict[str, str]:
    """Return name -> version."""
    return {artifact.name: artifact.version for artifact in solution.artifacts}


def sources(solution: PypiSolution) -> dict[str, str]:
    """Return name -> index."""
    return {artifact.name: artifact.source for artifact in solution.artifacts}


def voids(solution: PypiSolution) -> list[str]:
    """Return what is voided, by whom."""
    by_package = [
        *((override.package, override.voids) for override in solution.overrides),
        *((exclude.package, exclude.voids) for exclude in solution.excludes),
    ]
    return [
        f"{package}: {void.dependent} {void.version} -> {void.requirement}"
        for package, voided in by_package
        for void in voided
    ]
