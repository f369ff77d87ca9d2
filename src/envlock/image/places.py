"""Layers that other images of this machine have already.

The cache remembers where images were written.  A layer whose digest is known is taken over from
any of them: as a copy that shares its bytes with the original where the file system can do that,
else as a hard link.  Blobs are never written to, so that neither image can change the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.errors import DiskError, IntegrityError
from envlock.files import verify_file, write_atomically, written_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.image.build import Workshop
    from envlock.image.layout import Staging
    from envlock.layers.gzipstream import Known

_FICLONE = 0x40049409  # linux/fs.h: the new file shares the other one's extents


def remember_layout(cache: Path, layout: Path) -> None:
    """Note that an image was, or is about to be, written to ``layout``; raises DiskError."""
    name = hashlib.sha256(os.fsencode(layout)).hexdigest()[:32]
    entry = cache / "layouts" / f"{name}.json"
    text = json.dumps({"path": str(layout)}).encode()
    with contextlib.suppress(OSError):
        if entry.read_bytes() == text:
            return
    write_atomically(entry, text)


def known_layouts(cache: Path) -> Iterator[Path]:
    """Yield where images are; what is no longer there is forgotten."""
    for entry in sorted((cache / "layouts").glob("*.json")):
        layout = image_of(entry)
        if layout is not None:
            yield layout
        else:
            with contextlib.suppress(OSError):
                entry.unlink()


def image_of(entry: Path) -> Path | None:
    """Return the image that a file of ``layouts/`` is about, None where it is not there."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        layout = Path(json.loads(entry.read_text())["path"])
        if (layout / "index.json").is_file():
            return layout
    return None


def held(cache: Path, digest: str, size: int) -> Iterator[Path]:
    """Yield where images here have a blob of ``size`` bytes."""
    for layout in known_layouts(cache):
        source = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
        with contextlib.suppress(OSError):
            if source.stat().st_size == size:
                yield source


def held_document(cache: Path, digest: str, most: int) -> bytes | None:
    """Return a small blob of an image here, verified; None where there is none up to ``most``."""
    for layout in known_layouts(cache):
        source = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
        with contextlib.suppress(OSError), source.open("rb") as stream:
            data = stream.read(most + 1)
            if f"sha256:{hashlib.sha256(data).hexdigest()}" == digest:
                return data
    return None


def take_over(cache: Path, digest: str, size: int, blobs: Path) -> bool:
    """Put a blob of ``size`` bytes into ``blobs`` if an image here has it; tell whether it did."""
    target = blobs / digest.removeprefix("sha256:")
    return any(share(source, target) for source in held(cache, digest, size))


def taken_over(workshop: Workshop, staging: Staging, known: Known) -> bool:
    """Tell whether a layer need not be made: an image here has it, or its destination does.

    What only the lock tells is not believed of a file that merely has the name.
    """
    digest, size = known.digests.digest, known.digests.size
    blob = staging.blobs / digest.removeprefix("sha256:")
    given = workshop.layers.get(digest)
    if (
        not staging.reuse(digest, size)
        and not (given is not None and place(given, blob))
        and not take_over(workshop.cache, digest, size, staging.blobs)
    ):
        return False
    if known.seen_here or not blob.exists() or is_whole(blob, digest, size):
        return True
    blob.unlink()
    return False


def share(source: Path, target: Path) -> bool:
    """Make ``target`` another name or another owner of the bytes of ``source``.

    Tells whether that was possible: file systems cannot share bytes with each other.
    """
    try:
        with source.open("rb") as there, target.open("xb") as here:
            fcntl.ioctl(here.fileno(), _FICLONE, there.fileno())
        target.chmod(0o644)
    except FileExistsError:
        return True
    except OSError:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
            os.link(source, target)
            return True
        return False
    return True


def place(source: Path, target: Path) -> bool:
    """Make ``target`` a blob with the bytes of ``source``, shared where that is possible.

    Returns True; raises DiskError.
    """
    if not share(source, target):
        with written_beside(target.parent, ".blob-") as (out, beside), source.open("rb") as stream:
            shutil.copyfileobj(stream, out, 1 << 20)
            out.flush()
            beside.replace(target)
    return True


def is_whole(blob: Path, digest: str, size: int) -> bool:
    """Tell whether a file has the digest that is its name."""
    try:
        verify_file(blob, digest.removeprefix("sha256:"), size)
    except (IntegrityError, DiskError):
        return False
    return True
