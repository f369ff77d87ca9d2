"""An OCI image layout, written so that its name always holds a whole image (image-layout.md).

New blobs are made in a staging layout beside the target.  Publishing moves them in and then
replaces ``index.json``: a reader sees the old image or the new one, and a build that is
killed leaves a staging folder that the next one removes.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from envlock.errors import UsageError
from envlock.files import disk_errors, locked, sync, write_atomically
from envlock.image.config import (
    NO_BASE,
    REFERENCE,
    Blob,
    canonical,
    config_blob,
    index_blob,
    manifest_blob,
)
from envlock.image.referrers import is_referrer
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from envlock.image.base import Foundation
    from envlock.layers.gzipstream import StreamDigests
    from envlock.lock.model import Lock

LAYOUT_FILE = canonical({"imageLayoutVersion": "1.0.0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDigests:
    """What a build made; ``size`` is the sum of all blobs in bytes.

    layers: those that were made; a base image's lie below them.
    """

    manifest: str
    config: str
    layers: tuple[StreamDigests, ...]
    size: int


class Staging:
    """A layout in the making, beside ``target``."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder = folder
        self.target = target
        self.blobs = folder / "blobs" / "sha256"
        self.elsewhere: Callable[[str, int], bool] | None = None
        """Tells whether a blob of this digest and size need not be made: it is where the image
        goes already.
        """
        self._target_blobs = target / "blobs" / "sha256"

    def reuse(self, digest: str, size: int) -> bool:
        """Tell whether a blob need not be made: it is taken over, or elsewhere already."""
        return self._take_over(digest, size) or (
            self.elsewhere is not None and self.elsewhere(digest, size)
        )

    def _take_over(self, digest: str, size: int) -> bool:
        """Link a blob of the image that has the name now, and tell whether it was there."""
        name = digest.removeprefix("sha256:")
        source = self._target_blobs / name
        try:
            if source.stat().st_size != size:
                return False
            os.link(source, self.blobs / name)
        except FileExistsError:
            return True
        except OSError:
            return False
        return True

    def complete(
        self,
        lock: Lock,
        layers: Sequence[tuple[str, StreamDigests]],
        created: int,
        variables: Mapping[str, str] = MappingProxyType({}),
        foundation: Foundation = NO_BASE,
    ) -> ImageDigests:
        """Write config, manifest and index; ``layers`` are (history line, digests).

        variables: what packages add to the image's environment; foundation: what lies below.
        """
        digests = tuple(layer for _, layer in layers)
        config = config_blob(lock, layers, created, variables, foundation)
        manifest = manifest_blob(lock, config, digests, foundation)
        for blob in (config, manifest):
            write_atomically(self.blobs / blob.digest.removeprefix("sha256:"), blob.data)
        write_atomically(self.folder / "oci-layout", LAYOUT_FILE)
        write_atomically(self.folder / "index.json", index_blob(lock, manifest).data)
        return ImageDigests(
            manifest=manifest.digest,
            config=config.digest,
            layers=digests,
            size=len(config.data)
            + len(manifest.data)
            + foundation.size
            + sum(layer.size for layer in digests),
        )

    def publish(self) -> None:
        """Give the image its name; what only the old image needed is removed."""
        with disk_errors(self.target):
            for blob in self.blobs.iterdir():
                if blob.stat().st_nlink == 1:  # else it is another image's, too
                    sync(blob)
            if self._is_free():
                sync(self.blobs)
                sync(self.folder)
                self.folder.replace(self.target)
                sync(self.target.parent)
                return
            self._target_blobs.mkdir(parents=True, exist_ok=True)
            for blob in sorted(self.blobs.iterdir()):
                blob.replace(self._target_blobs / blob.name)
            sync(self._target_blobs)
            (self.folder / "oci-layout").replace(self.target / "oci-layout")
            (self.folder / "index.json").replace(self.target / "index.json")
            sync(self.target)
            keep = referenced_blobs(self.target)
            for blob in self._target_blobs.iterdir():
                if blob.name not in keep:
                    blob.unlink()

    def _is_free(self) -> bool:
        """Tell whether the whole staging folder can take the name at once."""
        if self.target.is_symlink() or not self.target.exists():
            return not self.target.is_symlink()
        return not any(self.target.iterdir())


@contextlib.contextmanager
def staging(target: Path) -> Iterator[Staging]:
    """Hold the place beside ``target`` where its next image is made.

    Waits for another build of the same target.  Raises DiskError, and UsageError where
    ``target`` is something else than a layout of one image as this module writes it, or a file
    that ends in ``.tar``.
    """
    _check_target(target)
    prefix = f".{target.name}."
    with locked(target.parent / f"{prefix}lock"):
        for left in target.parent.glob(f"{glob.escape(prefix)}staging-*"):
            shutil.rmtree(left, ignore_errors=True)
        with disk_errors(target):
            folder = Path(tempfile.mkdtemp(prefix=f"{prefix}staging-", dir=target.parent))
            folder.chmod(0o755)
            (folder / "blobs" / "sha256").mkdir(parents=True)
        try:
            yield Staging(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _check_target(target: Path) -> None:
    archive = target.suffix == ".tar"
    if not target.exists() or (archive and target.is_file()):
        return
    ours = target.is_dir() and ((target / "oci-layout").is_file() or not any(target.iterdir()))
    if ours and not archive:
        _check_images(target)
        return
    raise UsageError(
        f"this is there already and is no {'tar file' if archive else 'image layout'}",
        where=str(target),
        hint="name another place with -o, or remove it",
    )


def _check_images(layout: Path) -> None:
    """Raise UsageError where a layout has images that another tool put there, or several."""
    try:
        found = json.loads((layout / "index.json").read_bytes())["manifests"]
        images = [one for one in found if not is_referrer(one)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # none that anybody could read
    if images and not (len(images) == 1 and _is_ours(images[0])):
        raise UsageError(
            f"{counted(len(images), 'image is', 'images are')} in this layout already, and not as "
            "a build leaves its own",
            where=str(layout),
            hint="name another place with -o, or remove it",
        )


def _is_ours(descriptor: dict[str, Any]) -> bool:
    """Tell whether a descriptor says as much as :func:`index_blob` does, which others do not."""
    fields = {"mediaType", "digest", "size", "platform", "annotations"}
    return descriptor.keys() == fields and descriptor["annotations"].keys() == {REFERENCE}


def referenced_blobs(layout: Path) -> set[str]:
    """Return the hex digests of all blobs that the layout's index leads to."""
    keep: set[str] = set()
    queue = json.loads((layout / "index.json").read_text())["manifests"]
    while queue:
        name = queue.pop()["digest"].removeprefix("sha256:")
        keep.add(name)
        manifest = json.loads((layout / "blobs" / "sha256" / name).read_text())
        queue += manifest.get("manifests", [])
        for descriptor in [manifest.get("config"), *manifest.get("layers", [])]:
            if descriptor:
                keep.add(descriptor["digest"].removeprefix("sha256:"))
    return keep


def project_folder(folder: Path) -> None:
    """Make ``build/`` and keep it out of git, as a virtual environment does."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        write_atomically(ignore, b"*\n")


__all__ = ["Blob", "ImageDigests", "Staging", "project_folder", "referenced_blobs", "staging"]
