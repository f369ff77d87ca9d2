"""A machine of its own for a test: home, cache, project, and the real command line on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import envlock

from .warm import warm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .index import Index

NOWHERE = "http://127.0.0.1:9/simple/"
"""An index where nobody listens."""

_LONGEST = 120
"""Seconds that a command may take."""

HEAD = """\
version: 1
name: {name}
platforms:
  linux-64: {{glibc: "2.36"}}
python: "3.11"
"""

DEBIAN = """\
debian:
  suite: bookworm
  packages: [python3.11-minimal]
"""


@dataclass(slots=True)
class Machine:
    """Folders below ``root`` and the variables that a command gets.

    cold: each command is started as a person does, and never forked (see ``warm``).
    """

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    cold: bool = False

    def __post_init__(self) -> None:
        home = self.root / "home"
        for folder in (home, self.project / "envs", self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        self.environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CONFIG_DIRS": str(home / "etc"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_DATA_HOME": str(home / ".local"),
            "TMPDIR": str(self.temporary),
            "NO_PROXY": "127.0.0.1",
            "ENVLOCK_CACHE_DIR": str(self.cache),
            "ENVLOCK_INDEX_PYPI": NOWHERE,
            "PYTHONPATH": str(Path(envlock.__file__).parents[1]),  # the code under test
            **self.environ,
        }

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def use(self, index: Index) -> None:
        """Take PyPI from this index."""
        self.environ["ENVLOCK_INDEX_PYPI"] = index.url

    def write_spec(self, name: str, body: str = "", *, debian: bool = True) -> Path:
        """Write envs/<name>.yaml: a valid head, Debian with a Python, and ``body``."""
        path = self.project / "envs" / f"{name}.yaml"
        path.write_text(HEAD.format(name=name) + (DEBIAN if debian else "") + body)
        return path

    def lock(self, name: str) -> Path:
        return self.project / "locks" / f"{name}.linux-64.lock.json"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "envlock", *arguments]

    def run(
        self,
        *arguments: str,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run envlock in the project, with these variables besides; output is captured."""
        env = {**self.environ, **(environ or {}), **variables}
        if not self.cold and warm.takes(env):
            return warm.run(arguments, cwd=cwd or self.project, env=env, timeout=_LONGEST)
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.project,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start envlock in the project and return at once."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.project,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_listen_to_interrupts,
        )


def _listen_to_interrupts() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
