"""The build as a list of steps: pack, prove, publish."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from envlock.errors import CheckFailedError
from envlock.image.archive import write_archive
from envlock.image.build import Workshop, build_image
from envlock.image.compression import recompress
from envlock.image.layout import staging
from envlock.image.referrers import attach
from envlock.imagediff import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from envlock.image.compression import Compression
    from envlock.image.layout import ImageDigests, Staging
    from envlock.image.linked import Linker
    from envlock.image.referrers import Document
    from envlock.lock.model import Lock
    from envlock.progress import Reporter
    from envlock.validate.results import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build made and found; seconds by stage."""

    digests: ImageDigests
    report: Report | None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The image must be the recorded one.

    Where it is not, it is compared with ``against``, or with the recorded image where that lies
    at the target or ``near``.
    """

    against: Path | None = None
    near: tuple[Path, ...] = ()


class Destination(Protocol):
    """Where an image goes besides its layout: a registry, an engine."""

    def has(self, digest: str, size: int) -> bool:
        """Tell whether a layer of this digest and size (bytes) is there already."""

    def take(self, place: Staging) -> None:
        """Take a whole, proven image; raises EnvlockError."""


def build(
    lock: Lock,
    paths: Mapping[str, Path],
    target: Path,
    workshop: Workshop,
    reporter: Reporter,
    *,
    prove: Callable[[Path], Report] | None,
    expect: Expected | None = None,
    created: int = 0,
    about: Callable[[ImageDigests], Sequence[Document]] | None = None,
    destinations: Sequence[Destination] = (),
    keep: bool = True,
    compression: Compression = "reuse",
    keep_layers: Callable[[Staging, ImageDigests], None] | None = None,
    link: Linker | None = None,
) -> Built:
    """Make the image of ``lock`` at ``target``, an OCI layout or a file ending in ``.tar``.

    link: runs post-link scripts, where the lock's spec wants some to be run; destinations: where
    else it goes once it is proven; without ``keep`` nothing stays at ``target``, and what the only
    destination has already is not made.  keep_layers: puts the layers of the proven image into a
    cache.  compression: of the layers that are published; they are proven, and cached, as they
    were made.

    ``paths`` are the lock's artifacts by sha256; ``prove`` runs the checks on a layout, None
    leaves them out; with ``expect`` the digest must come out that the lock records; ``about``
    makes documents that are put beside the image, as what refers to it.  Raises
    CheckFailedError, and then ``target`` is as it was before.
    """
    seconds: dict[str, float] = {}
    started = time.monotonic()
    with staging(target) as place:
        if len(destinations) == 1 and not keep and compression == "reuse":
            place.elsewhere = destinations[0].has
        digests = build_image(lock, paths, place, workshop, reporter, created=created, link=link)
        seconds["pack"] = time.monotonic() - started
        recorded = lock.built.manifest if expect is not None and lock.built is not None else None
        if expect is not None and recorded is not None and recorded != digests.manifest:
            near = (target, *expect.near)
            raise explain(lock, place.folder, against=expect.against, near=near)
        report = _proven(place.folder, prove, seconds) if prove is not None else None
        if keep_layers is not None:
            keep_layers(place, digests)
        before = time.monotonic()
        if compression != "reuse":
            digests = recompress(
                place, digests, compression, workers=workshop.workers, reporter=reporter
            )
            seconds["compress"] = time.monotonic() - before
            before = time.monotonic()
        documents = about(digests) if about is not None else ()
        if documents:
            attach(place.folder, documents)
        for destination in destinations:
            destination.take(place)
        if keep and target.suffix == ".tar":
            write_archive(place.folder, target)
        elif keep:
            place.publish()
        seconds["publish"] = time.monotonic() - before
    return Built(digests=digests, report=report, seconds=seconds)


def _proven(folder: Path, prove: Callable[[Path], Report], seconds: dict[str, float]) -> Report:
    """Return the report of a proof that went well; raises ProofError."""
    before = time.monotonic()
    report = prove(folder)
    seconds["prove"] = time.monotonic() - before
    if not report.ok:
        raise ProofError(report)
    return report


class ProofError(CheckFailedError):
    """A check failed inside the image; carries the report."""

    def __init__(self, report: Report) -> None:
        failed = report.count("failed")
        super().__init__(
            f"{failed} check{'s' if failed != 1 else ''} of {report.name} failed; "
            "the image was not published",
            hint="the report says which; envlock build --no-validate builds without the proof",
        )
        self.report = report
