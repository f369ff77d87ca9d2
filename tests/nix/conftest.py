from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..container.judges import need

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]

CONFIG = """
experimental-features = nix-command flakes
substituters =
flake-registry =
build-users-group =
sandbox = true
sandbox-fallback = false
sandbox-paths = /bin /usr /lib /lib64
"""
"""The real sandbox, in which the stub of nixpkgs finds the machine's Python."""


@dataclass(frozen=True)
class Nix:
    """Nix with a store, a home and a copy of the flake of its own."""

    store: Path
    flake: Path
    home: Path

    def run(
        self, *words: str | Path, store: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        self.home.mkdir(exist_ok=True)
        environ = {key: value for key, value in os.environ.items() if not key.startswith("NIX_")}
        return subprocess.run(
            ["nix", *map(str, words), "--store", str(store or self.store)],
            cwd=self.flake,
            env={**environ, "NIX_CONFIG": CONFIG, "HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def ok(self, *words: str | Path, store: Path | None = None) -> str:
        done = self.run(*words, store=store)
        assert done.returncode == 0, f"{words}\n{done.stderr}"
        return done.stdout

    def build(self, attribute: str, *words: str) -> Path:
        """Build with the stub in the place of nixpkgs; return where the output really lies."""
        text = self.ok("build", "-L", "--json", "--no-link", *self.stub, self.at(attribute), *words)
        output = json.loads(text)[0]["outputs"]["out"]
        return self.store / str(output).removeprefix("/")

    def at(self, attribute: str) -> str:
        return f"path:{self.flake}#{attribute}"

    @property
    def stub(self) -> list[str]:
        stub = f"path:{self.flake}/nix/stub-nixpkgs"
        return ["--override-input", "nixpkgs", stub, "--no-write-lock-file"]


@pytest.fixture
def nix(tmp_path: Path) -> Iterator[Nix]:
    """A Nix whose sandbox works: where it does not, the test fails, it is not skipped."""
    need("nix", "nix-store", "unshare")
    trial = subprocess.run(["unshare", "-Urn", "true"], capture_output=True, text=True, check=False)
    assert trial.returncode == 0, f"no user namespaces, so no sandbox: {trial.stderr}"
    flake = tmp_path / "flake"
    for name in ("flake.nix", "flake.lock"):
        (flake / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, flake / name)
    kept = shutil.ignore_patterns("__pycache__")
    for name in ("nix", "src", "locks"):
        shutil.copytree(PROJECT / name, flake / name, ignore=kept)
    yield Nix(store=tmp_path / "store", flake=flake, home=tmp_path / "home")
    remove(tmp_path / "store")


def remove(store: Path) -> None:
    """Remove a store: its folders are read-only."""
    if store.exists():
        subprocess.run(["chmod", "-R", "u+w", store], check=True)
        shutil.rmtree(store)
