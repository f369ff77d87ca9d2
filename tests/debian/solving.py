"""Solve against a repository in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from envlock.debian_archive import Archive
from envlock.platforms import PLATFORMS
from envlock.progress import SilentReporter
from envlock.solve.debian import DebianRequest, DebianSolution, solve_debian

from ..makers.debs import FolderTransport, Repository

URL = "https://mirror.example.com/debian"
BASE = {"base-files", "base-passwd", "dash", "libc-bin"}


@dataclass
class Listener(SilentReporter):
    """Remembers warnings."""

    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def archive(repository: Repository, **changes: Any) -> Archive:
    keyring = repository.write_keyring(repository.root.parent / "keyring.gpg")
    settings: dict[str, Any] = {
        "name": "debian",
        "suites": (repository.suite,),
        "urls": (URL,),
        "keyring": keyring,
    }
    return Archive(**(settings | changes))


def solve(
    repository: Repository,
    *packages: str,
    archives: tuple[Archive, ...] | None = None,
    transport: FolderTransport | None = None,
    listener: Listener | None = None,
    options: dict[str, Any] | None = None,
    **request: Any,
) -> DebianSolution:
    reporter: Any = listener or Listener()
    return solve_debian(
        DebianRequest(suite=repository.suite, packages=packages, **request),
        PLATFORMS["linux-64"],
        (archive(repository),) if archives is None else archives,
        transport or FolderTransport({URL: repository.root}),
        reporter,
        **(options or {}),
    )


def chosen(solution: DebianSolution) -> dict[str, str]:
    """Name -> version of what a solve chose beyond the base."""
    return {a.name: a.version for a in solution.artifacts if a.name not in BASE}
