"""conda's ``@EXPLICIT`` list: URLs with checksums, in an order in which they can be installed.

Wheels stand in comments that ``conda-lock install`` and micromamba read (``# pip``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.errors import UsageError
from envlock.exchange.formats import Export
from envlock.exchange.order import dependencies_first, left_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.exchange.formats import Subject
    from envlock.lock.model import Artifact


def export(subject: Subject) -> Export:
    """Write one lock with sha256; see :class:`envlock.exchange.formats.Exporter`."""
    return listed(subject, lambda artifact: artifact.sha256)


def listed(subject: Subject, checksum: Callable[[Artifact], str]) -> Export:
    """Write one lock; the checksum, in hex, is what stands behind each conda package's ``#``."""
    (lock,) = subject.locks
    places = subject.places
    conda = dependencies_first(lock.of_kind("conda"))
    wheels = lock.of_kind("pypi")
    if not conda:
        raise UsageError(
            f"{lock.name} has no conda packages, and this is a list of those",
            hint="envlock export --help lists the other formats",
        )
    lines = [
        f"# Written by envlock from the lock of {lock.name}.",
        f"# platform: {lock.platform}",
        "@EXPLICIT",
        *(f"{places.url(one)}#{checksum(one)}" for one in conda),
        *(f"# pip {one.name} @ {places.url(one)}#sha256={one.sha256}" for one in wheels),
    ]
    notes = [*left_out(lock)]
    if wheels:
        notes.append(
            f"{lock.name} {lock.platform}: {len(wheels)} wheels stand in comments, which conda "
            "itself does not read; conda-lock install and micromamba do"
        )
    return Export(text="".join(f"{line}\n" for line in lines), notes=tuple(notes))
