"""Files that give way to another package's, in words and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.lock.compare import GivenWay


def clobber_lines(files: Iterable[GivenWay]) -> list[str]:
    """Return one line for each two packages, or wheels, of which one's files give way."""
    paths: dict[tuple[str, str], list[str]] = {}
    for one in files:
        paths.setdefault((one.kept, one.lost), []).append(one.path)
    return [
        f"clobber: {keeper}'s {found[0]} is kept, {loser}'s left out"
        + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
        for (keeper, loser), found in sorted(paths.items())
    ]


def clobber_data(files: Iterable[GivenWay]) -> list[dict[str, str]]:
    """Return the same as ``--json`` shows it."""
    return [{"path": one.path, "kept": one.kept, "lost": one.lost} for one in files]
