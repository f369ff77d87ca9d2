"""What a lock has otherwise than another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.layers.changed import artifact_bytes, changed_layers
from envlock.lock.compare import compare
from envlock.report.model import Against, Moved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.compare import Difference
    from envlock.lock.model import Lock


def compared(title: str, old: Lock, new: Lock) -> Against:
    """Return what ``new`` has otherwise than ``old``, which ``title`` names."""
    difference = compare(old, new)
    layers = changed_layers(old, new)
    return Against(
        title=title,
        packages=tuple(
            Moved(
                kind=change.kind,
                name=change.name,
                before=change.old.version if change.old else "",
                after=change.new.version if change.new else "",
                grown=change.bytes,
            )
            for change in difference.packages
        ),
        overrides=tuple(_overrides(difference)),
        spec=difference.spec,
        before=difference.size[0],
        after=difference.size[1],
        layers=tuple(
            (layer.title, artifact_bytes(layer))
            for layer in sorted(layers.new, key=artifact_bytes, reverse=True)
        ),
        kept=len(layers.kept),
    )


def _overrides(difference: Difference) -> Iterator[str]:
    for change in difference.overrides:
        if change.new is None:
            yield f"{change.package}: gone"
        elif change.old is None:
            yield f"{change.package} {change.new.version}: new"
        elif change.old.version != change.new.version:
            yield f"{change.package} {change.new.version}: was {change.old.version}"
        else:
            yield f"{change.package} {change.new.version}: voids something else"
