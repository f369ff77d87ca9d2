"""``pylock.toml`` (PEP 751) without hosts: wheels are files of the folder ``wheels/`` beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.exchange.pylock import written

if TYPE_CHECKING:
    from envlock.exchange.formats import Export, Subject


def export(subject: Subject) -> Export:
    """Write one lock with paths; see :class:`envlock.exchange.formats.Exporter`."""
    return written(subject, lambda artifact: {"path": f"wheels/{artifact.file}"})
