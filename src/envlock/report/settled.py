"""Files that give way to another package's, and why: what a lock has of ``clobbers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.layers.clobbers import matcher
from envlock.report.model import Settled

if TYPE_CHECKING:
    from envlock.lock.model import Kind, Lock


def settled(lock: Lock) -> tuple[Settled, ...]:
    """Return each two packages of which one's files give way, by name."""
    paths: dict[tuple[Kind, str, str], list[str]] = {}
    for one in lock.artifacts:
        for path, keeper in one.gives_way:
            paths.setdefault((one.kind, keeper, one.name), []).append(path)
    return tuple(
        Settled(
            kept=keeper,
            lost=loser,
            because=_reasons(lock, kind, keeper, found),
            paths=tuple(found),
        )
        for (kind, keeper, loser), found in sorted(paths.items())
    )


def _reasons(lock: Lock, kind: Kind, keeper: str, paths: list[str]) -> tuple[str, ...]:
    """Return why a package's files are kept: the entries that fit, in their order."""
    section = lock.spec.get(kind) or {}
    return tuple(
        str(entry["because"])
        for entry in section.get("clobbers") or ()
        if entry["keep"] == keeper and any(map(matcher(entry["path"]).fullmatch, paths))
    )
