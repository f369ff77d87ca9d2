"""Why an image is not the recorded one, as far as what is at hand can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.errors import CheckFailedError, EnvlockError
from envlock.imagediff.compare import compare
from envlock.imagediff.words import as_data, as_lines
from envlock.platforms import PLATFORMS
from envlock.validate.layout import open_layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from envlock.lock.model import Lock
    from envlock.validate.layout import Image


class DifferentImageError(CheckFailedError):
    """A build did not make the image whose digest the lock has; ``data`` tells what differs."""

    def __init__(
        self, recorded: str, built: str, *, lines: Sequence[str], hint: str, data: dict[str, Any]
    ) -> None:
        super().__init__(
            "the image is not the recorded one",
            details=(f"  recorded: {recorded}", f"  built:    {built}", *lines),
            hint=hint,
        )
        self.data = {"recorded": recorded, "built": built, **data}


def explain(
    lock: Lock, layout: Path, *, against: Path | None, near: Iterable[Path]
) -> DifferentImageError:
    """Return the error for ``layout``, an image of ``lock`` that is not the recorded one.

    against: an image to compare with, whatever its digest; near: where the recorded one may
    still lie.  Without either, the layers' digests in the lock tell which layer it is.  Raises
    UsageError, IntegrityError, ArtifactError, DiskError where ``against`` cannot be read.
    """
    assert lock.built is not None
    architecture = PLATFORMS[lock.platform].oci
    built = open_layout(layout, architecture=architecture)
    reference = (
        open_layout(against, architecture=architecture)
        if against is not None
        else _find(near, lock.built.manifest, architecture)
    )
    if reference is None:
        return DifferentImageError(
            lock.built.manifest, built.manifest, lines=_by_digests(lock, built), hint=_LOOK, data={}
        )
    difference = compare(reference, built)
    lines = as_lines(difference)
    if reference.manifest != lock.built.manifest:
        lines.insert(
            0, f"  compared with {reference.manifest}, which is not the recorded one, too:"
        )
    return DifferentImageError(
        lock.built.manifest,
        built.manifest,
        lines=lines,
        hint=_WHY,
        data={"difference": as_data(difference)},
    )


_WHY = (
    "the packer or an input differs from when the digest was recorded; "
    "envlock build --record records this one"
)
_LOOK = f"{_WHY}; --against IMAGE, a layout or tar of the recorded image, tells which files differ"


def _find(near: Iterable[Path], digest: str, architecture: str) -> Image | None:
    """Return the first image that is the recorded one."""
    for path in near:
        try:
            image = open_layout(path, architecture=architecture)
        except EnvlockError:
            continue
        if image.manifest == digest:
            return image
    return None


def _by_digests(lock: Lock, built: Image) -> list[str]:
    """Return which layers differ, from the digests that the lock has of them."""
    assert lock.built is not None
    recorded = [layer.digest for layer in lock.built.layers]
    if not recorded:
        return []
    if lock.base is not None:
        recorded = [*(layer.digest for layer in lock.base.layers), *recorded]
    lines = []
    for number in range(max(len(recorded), len(built.layers))):
        before = recorded[number] if number < len(recorded) else "none"
        after = built.layers[number].blob.digest if number < len(built.layers) else "none"
        if before != after:
            lines.append(f"  layer {number + 1}: {before} recorded, {after} built")
    return lines or ["  every layer is the recorded one: configuration or manifest differ"]
