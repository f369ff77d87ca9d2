from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from envlock.advise import Advice, Limits, Tools, Way, advise
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.indexes import SimpleIndex
from envlock.fetch.store import Store
from envlock.solve.pypi.metadata import MetadataReader
from envlock.solve.pypi.uv import Uv
from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec

from ..makers.fixtures import index, machine, mirror
from ..makers.machine import HEAD

if TYPE_CHECKING:
    from envlock.spec.model import Spec

    from ..makers.index import Index

__all__ = ["index", "machine", "mirror"]

SHOWN = "envs/one.yaml"


@dataclass
class Adviser:
    """Asks for advice on specs against an index on loopback."""

    root: Path
    index: Index

    def tools(self, *, offline: bool = False) -> Tools:
        http = Http(offline=offline)
        fetcher = Fetcher(Store(self.root / "cache"), http)
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.root),
            "NO_PROXY": "127.0.0.1",
            "UV_HTTP_RETRIES": "0",
        }
        urls = {"pypi": self.index.url}
        return Tools(
            uv=Uv(
                index_urls=urls, environ=environ, cache=self.root / "uv",
                python=Path(sys.executable), offline=offline,
            ),
            metadata=MetadataReader(http, fetcher, self.root / "metadata"),
            http=http,
            fetcher=fetcher,
            index=SimpleIndex(urls, http),
            cache=self.root / "audit",
        )  # fmt: skip

    def __call__(
        self, body: str, *, limits: Limits | None = None, offline: bool = False
    ) -> tuple[Advice, ...]:
        spec = parsed(body)
        tools = self.tools(offline=offline)
        return advise(spec, spec.targets[0], tools, limits=limits)


def parsed(body: str) -> Spec:
    """Return the spec with this body below the usual head."""
    return parse_spec(parse_document(HEAD.format(name="one") + body, SHOWN), SHOWN)


def pasted(body: str, way: Way) -> str:
    """Return a body after somebody did what a way says, by hand."""
    document: dict[str, Any] = yaml.safe_load(body)
    pypi: dict[str, Any] = document.setdefault("pypi", {})
    for key in ("dependencies", "constraints"):
        pypi[key] = [line for line in pypi.get(key, []) if line not in way.replaces]
    overrides = document.get("overrides", [])
    change: dict[str, Any] = yaml.safe_load(way.yaml) or {}
    for key, lines in change.get("pypi", {}).items():
        pypi[key] += lines
    new = change.get("overrides", [])
    gone = {way.change.drops, *(item["package"] for item in new)}
    document["overrides"] = [*new, *(o for o in overrides if o["package"] not in gone)]
    if not document["overrides"]:
        del document["overrides"]
    return yaml.safe_dump(document, sort_keys=False)


@pytest.fixture
def adviser(tmp_path: Path, index: Index) -> Adviser:
    return Adviser(tmp_path / "adviser", index)
