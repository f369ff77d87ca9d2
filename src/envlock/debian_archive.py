"""Where a Debian archive can be read, and where its past can.

Both the machine's configuration and the solver need these; neither imports the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import DebianIndex

TIMESTAMP = "%Y%m%dT%H%M%SZ"
"""How a snapshot archive writes a time, always in UTC."""

RELEASES = ("bullseye", "bookworm", "trixie", "forky", "duke", "sid")
"""Suites of Debian: a mirror that has one of them has the others, too."""

SNAPSHOT_DELAYS = (timedelta(0), timedelta(hours=6), timedelta(days=1))
"""A snapshot is taken after the Release's ``Date`` and a snapshot service answers with the newest
state at or before the asked time: the state with just this index may carry a later time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One archive as this machine can read it; from its configuration, never from a spec.

    name: ``debian`` or ``debian-security``, as locks and snapshot archives call it;
    suites: codenames below ``dists/``; urls: mirrors in the order to try, each the folder of
    ``dists/`` and ``pool/``; keyring: OpenPGP certificates that may sign its Release files, or
    the file that has them;
    check_valid_until: False where a mirror is frozen on purpose.
    """

    name: str
    suites: tuple[str, ...]
    urls: tuple[str, ...]
    keyring: Path | bytes
    check_valid_until: bool = True


def timestamp(moment: datetime) -> str:
    """Return an aware ``moment`` as ``YYYYMMDDTHHMMSSZ``."""
    return moment.astimezone(UTC).strftime(TIMESTAMP)


def parse_timestamp(text: str) -> datetime:
    """Return the moment that ``YYYYMMDDTHHMMSSZ`` names; ValueError for anything else."""
    return datetime.strptime(text, TIMESTAMP).replace(tzinfo=UTC)


def snapshot_base(template: str, archive: str, moment: datetime) -> str:
    """Fill a template such as ``https://snapshot.example.com/{archive}/{timestamp}/``.

    The result has no slash at its end.
    """
    filled = template.replace("{archive}", archive).replace("{timestamp}", timestamp(moment))
    return filled.rstrip("/")


def snapshot_urls(template: str, index: DebianIndex, path: str) -> list[str]:
    """Return where a snapshot archive may have ``path`` as ``index`` knew it, best first."""
    date = parse_timestamp(index.date)
    bases = (snapshot_base(template, index.archive, date + delay) for delay in SNAPSHOT_DELAYS)
    return [f"{base}/{path}" for base in bases]
