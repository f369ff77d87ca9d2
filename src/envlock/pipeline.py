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
from envlock.limits import Limits
from envlock.sizes import counted

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

LIMITS = Limits()
"""What compiling may use up, unless the caller says otherwise; it may take its time."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """What becomes of a proven image.

    destinations: where else it goes; without ``keep`` nothing stays at the target, and what the
    only destination has already is not made.  keep_layers: puts its layers into a cache;
    compression: of the layers that are published, which are proven, and cached, as they were
    made; about: makes documents that are put beside the image, as what refers to it.
    """

    destinations: Sequence[Destination] = ()
    keep: bool = True
    compression: Compression = "reuse"
    keep_layers: Callable[[Staging, ImageDigests], None] | None = None
    about: Callable[[ImageDigests], Sequence[Document]] | None = None

    def only(self, lock: Lock) -> Destination | None:
        """Return the one place where the image goes, if what that has already need not be here.

        All layers are needed where its Python is to compile, or where they are compressed anew.
        """
        if len(self.destinations) != 1 or self.keep or self.compression != "reuse":
            return None
        return None if compiles(lock) else self.destinations[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What is run while an image is made.

    link: runs post-link scripts, where the lock's spec wants some to be run; sandbox: where the
    image's Python compiles its modules, if it is to, within ``limits``.
    """

    link: Linker | None = None
    sandbox: Callable[[], Sandbox] | None = None
    limits: Limits = LIMITS


_PUBLISHING, _RUNNING = Publishing(), Running()


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
    publishing: Publishing = _PUBLISHING,
    running: Running = _RUNNING,
) -> Built:
    """Make the image of ``lock`` at ``target``, an OCI layout or a file ending in ``.tar``.

    ``paths`` are the lock's artifacts by sha256; ``prove`` runs the checks on a layout, None
    leaves them out; with ``expect`` the digest must come out that the lock records; ``created``
    is what the image says of its age, in seconds since 1970.  Raises CheckFailedError, and then
    ``target`` is as it was before.
    """
    seconds: dict[str, float] = {}
    only = publishing.only(lock)
    with staging(target) as place:
        place.elsewhere = only.has if only is not None else None
        with _timed(seconds, "pack"):
            digests = build_image(
                lock, paths, place, workshop, reporter, created=created, link=running.link
            )
        if compiles(lock):
            with _timed(seconds, "precompile"):
                digests = _with_bytecode(lock, paths, place, digests, workshop, reporter, running)
        if expect is not None:
            _check_digest(lock, digests, place, target, expect)
        report = _proven(place.folder, prove, seconds) if prove is not None else None
        if publishing.keep_layers is not None:
            publishing.keep_layers(place, digests)
        if publishing.compression != "reuse":
            with _timed(seconds, "compress"):
                digests = recompress(
                    place,
                    digests,
                    publishing.compression,
                    workers=workshop.workers,
                    reporter=reporter,
                )
            check_layers(lock, digests)
        with _timed(seconds, "publish"):
            _publish(place, target, digests, publishing)
    return Built(digests=digests, report=report, seconds=seconds)


def _with_bytecode(
    lock: Lock,
    paths: Mapping[str, Path],
    place: Staging,
    digests: ImageDigests,
    workshop: Workshop,
    reporter: Reporter,
    running: Running,
) -> ImageDigests:
    assert running.sandbox is not None
    made = add_bytecode(
        lock, paths, place, digests, workshop, reporter, running.sandbox, running.limits
    )
    check_layers(lock, made)
    return made


def _check_digest(
    lock: Lock, digests: ImageDigests, place: Staging, target: Path, expect: Expected
) -> None:
    """Raise DifferentImageError where the lock records another image than this one."""
    recorded = lock.built.manifest if lock.built is not None else None
    if recorded is not None and recorded != digests.manifest:
        near = (target, *expect.near)
        raise explain(lock, place.folder, against=expect.against, near=near)


def _publish(place: Staging, target: Path, digests: ImageDigests, publishing: Publishing) -> None:
    """Put the documents beside a proven image, and both where they are to go."""
    documents = publishing.about(digests) if publishing.about is not None else ()
    if documents:
        attach(place.folder, documents)
    for destination in publishing.destinations:
        destination.take(place)
    if publishing.keep and target.suffix == ".tar":
        write_archive(place.folder, target)
    elif publishing.keep:
        place.publish()


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
            f"{counted(failed, 'check')} of {report.name} failed; the image was not published",
            hint="the report says which; envlock build --no-validate builds without the proof",
        )
        self.report = report
