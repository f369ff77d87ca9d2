"""Files as git has them at a revision."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from envlock.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def file_at(root: Path, path: str, revision: str) -> str | None:
    """Return a file's text at a revision (``HEAD``, a branch, a commit), None if it has none.

    ``path`` is relative to the folder ``root``.  Raises UsageError where git, the repository or
    the revision is missing.
    """
    known = _git(
        root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    if known.returncode:
        inside = _git(root, "rev-parse", "--is-inside-work-tree").returncode == 0
        raise UsageError(
            f"git knows no revision {revision!r}" if inside else "this is no git repository",
            where=str(root),
            hint=None if inside else "compare two environments or lock files: envlock diff A B",
        )
    shown = _git(root, "show", f"{known.stdout.strip()}:./{path}")
    return shown.stdout if shown.returncode == 0 else None


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise UsageError("there is no git on this machine", hint="install git") from None
