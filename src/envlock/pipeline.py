"""The build as a list of steps: pack, prove, publish."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from envlock.bytecode.layer import add_bytecode
from envlock.errors import CheckFailedError
from envlock.image.archive import write_archive
from envlock.image.build import Workshop, build_image
from envlock.image.compression import recompress
from envlock.image.layout import staging
from envlock.image.referrers import attach
from envlock.imagediff import explain
from envlock.layers.parts import check_sizes, limit_of
from envlock.layers.plan import compiles, image_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from envlock.image.compression import Compression
    from envlock.image.layout import ImageDigests, Staging
    from envlock.image.linked import Linker
    from envlock.image.referrers import Document
    from envlock.lock.model import Lock
    from envlock.progress import Reporter
    from envlock.validate.results import Report
    from envlock.validate.sandbox import Sandbox


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
    sandbox: Callable[[], Sandbox] | None = None,
) -> Built:
    """Make the image of ``lock`` at ``target``, an OCI layout or a file ending in ``.tar``.

    link: runs post-link scripts, where the lock's spec wants some to be run; destinations: where
    else it goes once it is proven; without ``keep`` nothing stays at ``target``, and what the only
    destination has already is not made.  keep_layers: puts the layers of the proven image into a
    cache.  compression: of the layers that are published; they are proven, and cached, as they
    were made.  sandbox: where an image's Python compiles its modules, if it is to.

    ``paths`` are the lock's artifacts by sha256; ``prove`` runs the checks on a layout, None
    leaves them out; with ``expect`` the digest must come out that the lock records; ``about``
    makes documents that are put beside the image, as what refers to it.  Raises
    CheckFailedError, and then ``target`` is as it was before.
    """
    seconds: dict[str, float] = {}
    only = only_destination(lock, destinations, keep=keep, compression=compression)
    with staging(target) as place:
        place.elsewhere = only.has if only is not None else None
        with _timed(seconds, "pack"):
            digests = build_image(
                lock, paths, place, workshop, reporter, created=created, link=link
            )
        if compiles(lock):
            assert sandbox is not None
            with _timed(seconds, "precompile"):
                digests = add_bytecode(lock, place, digests, workshop, reporter, sandbox)
            check_layers(lock, digests)
        recorded = lock.built.manifest if expect is not None and lock.built is not None else None
        if expect is not None and recorded is not None and recorded != digests.manifest:
            near = (target, *expect.near)
            raise explain(lock, place.folder, against=expect.against, near=near)
        report = _proven(place.folder, prove, seconds) if prove is not None else None
        if keep_layers is not None:
            keep_layers(place, digests)
        if compression != "reuse":
            with _timed(seconds, "compress"):
                digests = recompress(
                    place, digests, compression, workers=workshop.workers, reporter=reporter
                )
            check_layers(lock, digests)
        with _timed(seconds, "publish"):
            documents = about(digests) if about is not None else ()
            if documents:
                attach(place.folder, documents)
            for destination in destinations:
                destination.take(place)
            if keep and target.suffix == ".tar":
                write_archive(place.folder, target)
            elif keep:
                place.publish()
    return Built(digests=digests, report=report, seconds=seconds)


def only_destination(
    lock: Lock, destinations: Sequence[Destination], *, keep: bool, compression: Compression
) -> Destination | None:
    """Return the one place where the image goes, if what that has already need not be here.

    All layers are needed where its Python is to compile, or where they are compressed anew.
    """
    alone = len(destinations) == 1 and not keep
    return destinations[0] if alone and compression == "reuse" and not compiles(lock) else None


def check_layers(lock: Lock, digests: ImageDigests) -> None:
    """Refuse layers that were not there when the builder looked at their sizes.

    These are compiled modules, and all layers in another compression.  Raises UsageError.
    """
    titles = (plan.title for plan in image_layers(lock))
    sizes = [(title, made.size) for title, made in zip(titles, digests.layers, strict=True)]
    check_sizes(sizes, limit_of(lock))


def _proven(folder: Path, prove: Callable[[Path], Report], seconds: dict[str, float]) -> Report:
    """Return the report of a proof that went well; raises ProofError."""
    with _timed(seconds, "prove"):
        report = prove(folder)
    if not report.ok:
        raise ProofError(report)
    return report


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - started


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
