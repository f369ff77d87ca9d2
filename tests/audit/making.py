"""Wheels made of source texts."""

from __future__ import annotations

import textwrap
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str | bytes],
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
) -> Path:
    """Write a wheel with these files and return its path.

    A file below ``DIST-INFO/`` stands beside METADATA.
    """
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {line}" for line in requires),
        *(f"Provides-Extra: {line}" for line in extras),
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            data = content if isinstance(content, bytes) else textwrap.dedent(content).encode()
            archive.writestr(file.replace("DIST-INFO", info), data)
        archive.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\n")
    return path
