"""What images that were written as one file hold."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def files_of(image: Path, folder: Path) -> dict[str, bytes]:
    """Unpack an OCI archive of one image into a folder; return its layers' files by path.

    Where two layers have a file, it is the same in both.
    """
    with tarfile.open(image) as tar:
        if hasattr(tarfile, "data_filter"):  # from 3.11.4 on
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)
    (descriptor,) = json.loads((folder / "index.json").read_text())["manifests"]
    blobs = folder / "blobs" / "sha256"
    manifest = json.loads((blobs / descriptor["digest"].partition(":")[2]).read_text())
    found: dict[str, bytes] = {}
    for layer in manifest["layers"]:
        with tarfile.open(blobs / layer["digest"].partition(":")[2]) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    data = content.read()
                    assert found.setdefault(member.name, data) == data
    return found
