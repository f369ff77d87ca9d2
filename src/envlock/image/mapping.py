"""Artifact maps: which local file has a sha256."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from envlock.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def read_artifact_map(path: Path) -> dict[str, Path]:
    """Return the local files by sha256 that a JSON map names, relative to its own folder.

    Raises UsageError.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        return {str(sha256): path.parent / str(file) for sha256, file in value.items()}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"the artifact map cannot be read: {error}",
            where=str(path),
            hint='write {"<sha256>": "<file>", ...}',
        ) from None
