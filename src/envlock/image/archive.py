"""One tar of an image layout that OCI tools, ``docker load`` and ``podman load`` read.

It is an OCI layout (image-layout.md) with Docker's ``manifest.json`` beside it, which older
engines need; both name the same blobs.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from envlock.files import read_pieces, written_beside
from envlock.image.config import REFERENCE, canonical
from envlock.image.layout import referenced_blobs
from envlock.image.referrers import is_referrer
from envlock.layers import tar
from envlock.layers.entry import Bytes, Content, Entry, directory

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO


class _Blob:
    """A file's content that is copied, not held in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def read(self) -> bytes:
        return self.path.read_bytes()


def write_archive(layout: Path, target: Path) -> None:
    """Write ``layout`` as the tar file ``target``; the same layout gives the same bytes."""
    with written_beside(target.parent, f".{target.name}.writing-") as (out, beside):
        stream_archive(layout, out)
        out.flush()
        os.fsync(out.fileno())
        beside.replace(target)


def stream_archive(layout: Path, out: BinaryIO) -> None:
    """Write ``layout`` as a tar to a stream; raises OSError."""
    blobs = layout / "blobs" / "sha256"
    contents: list[tuple[str, Content]] = [
        ("oci-layout", Bytes((layout / "oci-layout").read_bytes())),
        ("index.json", Bytes((layout / "index.json").read_bytes())),
        ("manifest.json", Bytes(_docker_manifest(layout))),
        *(
            (f"blobs/sha256/{name}", _Blob(blobs / name))
            for name in sorted(referenced_blobs(layout))
        ),
    ]
    out.writelines(tar.header(directory(folder)) for folder in ("blobs", "blobs/sha256"))
    for path, content in contents:
        _write(out, path, content)
    out.write(tar.END_OF_ARCHIVE)


def _write(out: BinaryIO, path: str, content: Content) -> None:
    out.write(tar.header(Entry(path=path, kind="file", mode=0o644, content=content)))
    if isinstance(content, _Blob):
        with content.path.open("rb") as stream:
            out.writelines(read_pieces(stream))
    else:
        out.write(content.read())
    out.write(tar.padding(content.size))


def _docker_manifest(layout: Path) -> bytes:
    """Return Docker's image list (docker image spec 1.2, "Combined Image JSON")."""
    images = []
    for descriptor in json.loads((layout / "index.json").read_text())["manifests"]:
        if is_referrer(descriptor):
            continue
        manifest = json.loads(_blob_path(layout, descriptor["digest"]).read_text())
        name = descriptor["annotations"][REFERENCE]
        images.append(
            {
                "Config": _inside(manifest["config"]["digest"]),
                "RepoTags": [f"{name}:latest"],
                "Layers": [_inside(layer["digest"]) for layer in manifest["layers"]],
            }
        )
    return canonical(images)


def _inside(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _blob_path(layout: Path, digest: str) -> Path:
    return layout / _inside(digest)
