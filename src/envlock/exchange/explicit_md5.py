"""conda's ``@EXPLICIT`` list with md5, which every conda reads (sha256: 24.9 and newer)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.exchange.explicit import listed

if TYPE_CHECKING:
    from envlock.exchange.formats import Export, Subject


def export(subject: Subject) -> Export:
    """Write one lock with md5; see :class:`envlock.exchange.formats.Exporter`."""
    return listed(subject, subject.places.md5)
