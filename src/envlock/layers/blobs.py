"""Artifacts that are read and layers that are written, each under its own digest."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, BinaryIO

from envlock.errors import ArtifactError, IntegrityError
from envlock.files import disk_errors, written_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from envlock.layers.gzipstream import StreamDigests
    from envlock.lock.model import Artifact


@contextlib.contextmanager
def verified(path: Path, artifact: Artifact, *, known: bool = False) -> Iterator[BinaryIO]:
    """Open an artifact after checking its size and sha256; raises IntegrityError.

    known: what is made of it has a digest to be held against, so that it need not be hashed.
    What is found to be wrong in it later is told with its name.
    """
    with disk_errors(path):
        stream = path.open("rb")
    with stream, _named(artifact.file):
        if known:
            yield stream
            return
        found = hashlib.file_digest(stream, "sha256").hexdigest()
        if (found, stream.tell()) != (artifact.sha256, artifact.size):
            raise IntegrityError(
                f"{artifact.file} is not the locked file",
                where=str(path),
                details=(f"  locked: sha256 {artifact.sha256}", f"  found:  sha256 {found}"),
                hint="remove it; the next run fetches it anew",
            )
        stream.seek(0)
        yield stream


@contextlib.contextmanager
def _named(file: str) -> Iterator[None]:
    try:
        yield
    except ArtifactError as error:
        error.where = error.where or file
        raise


@contextlib.contextmanager
def layer_blob(folder: Path) -> Iterator[tuple[BinaryIO, list[StreamDigests]]]:
    """Yield a file in ``folder`` that gets its digest as its name once it is complete.

    Whoever publishes it brings it to the disk: the next layer need not wait for that.
    """
    done: list[StreamDigests] = []
    with written_beside(folder, ".layer-") as (out, beside):
        yield out, done
        out.flush()
        beside.replace(folder / done[0].digest.removeprefix("sha256:"))
