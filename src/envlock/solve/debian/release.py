"""InRelease: the signed root of trust of a Debian suite.

Only the content that the signature covers is ever parsed.  Debian's repository format
(DebianRepository/Format); RFC 9580 section 7, cleartext signatures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from envlock.debian_archive import timestamp
from envlock.errors import ArtifactError, FetchError, IntegrityError, UsageError
from envlock.solve.debian.fields import parse_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

LIMIT = 16 << 20
"""Bytes of an InRelease; Debian's are 0.2 MB."""

_FILE = re.compile(r"([0-9a-f]{64})\s+([0-9]{1,12})\s+(\S+)")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """What Release promises of one file; size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A verified Release file.

    date and valid_until are aware moments; files: by path below ``dists/<suite>/``;
    sha256: of the InRelease it came in.
    """

    suite: str
    codename: str
    date: datetime
    valid_until: datetime | None
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    by_hash: bool
    files: Mapping[str, IndexFile]
    sha256: str


def read_keyring(keyring: Path | bytes) -> bytes:
    """Return the certificates of a keyring; UsageError where there are none to read."""
    if isinstance(keyring, bytes):
        return keyring
    try:
        return keyring.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the keyring cannot be read: {error.strerror}",
            where=str(keyring),
            hint="install the package debian-archive-keyring, or name a keyring with "
            "ENVLOCK_KEYRING_DEBIAN or in [keyrings] of config.toml",
        ) from error


def verify_inrelease(inrelease: bytes, keyring: bytes) -> str:
    """Return the text that a key of ``keyring`` signed; IntegrityError if there is none."""
    import pysequoia

    try:
        certificates = pysequoia.Cert.split_bytes(keyring)
    except RuntimeError as error:
        raise UsageError(f"the keyring is no OpenPGP data: {_first_line(error)}") from error
    try:
        verified = pysequoia.verify(inrelease, store=lambda _ids: certificates)
    except RuntimeError as error:
        raise IntegrityError(f"its signature is not good: {_first_line(error)}") from error
    if not verified.valid_sigs or verified.bytes is None:
        raise IntegrityError("it carries no good signature")
    return verified.bytes.decode("utf-8", "replace")


def _first_line(error: Exception) -> str:
    """Drop the Rust backtrace that pysequoia appends to its messages."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def read_release(inrelease: bytes, keyring: bytes) -> Release:
    """Verify and parse an InRelease; IntegrityError or ArtifactError if it is not usable."""
    fields = parse_fields(verify_inrelease(inrelease, keyring))
    valid_until = fields.get("valid-until")
    return Release(
        suite=fields.get("suite", ""),
        codename=fields.get("codename", ""),
        date=_date(fields.get("date", "")),
        valid_until=_date(valid_until) if valid_until else None,
        architectures=tuple(fields.get("architectures", "").split()),
        components=tuple(fields.get("components", "").split()),
        by_hash=fields.get("acquire-by-hash", "").lower() == "yes",
        files=_files(fields.get("sha256", "")),
        sha256=sha256(inrelease).hexdigest(),
    )


def _date(text: str) -> datetime:
    """Parse an RFC 5322 date that names its zone (Release files say ``UTC``)."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError) as error:
        raise ArtifactError(f"not a date: {text!r}") from error
    if date.tzinfo is None:
        raise ArtifactError(f"a date without a time zone: {text!r}")
    return date


def _files(section: str) -> dict[str, IndexFile]:
    files: dict[str, IndexFile] = {}
    for line in section.splitlines():
        if not line:
            continue
        match = _FILE.fullmatch(line)
        if match is None:
            raise ArtifactError(f"not a line of a SHA256 section: {line[:100]!r}")
        promised = IndexFile(match[1], int(match[2]))
        if files.setdefault(match[3], promised) != promised:
            raise ArtifactError(f"two different checksums for {match[3]}")
    if not files:
        raise ArtifactError("no SHA256 section; MD5Sum and SHA1 are not trusted")
    return files


def check_release(release: Release, suite: str, *, now: datetime | None) -> None:
    """Refuse a Release of another suite, or one that was replaced long ago.

    A mirror could answer with another, well signed suite (substitution) or with an old state
    of this one (freeze).  ``now``: None where ``Valid-Until`` is not to be applied.
    """
    if suite not in {release.suite, release.codename}:
        raise IntegrityError(
            f"asked for the suite {suite!r}, but it is signed as {release.codename!r} "
            f"({release.suite!r})"
        )
    if now is not None and release.valid_until is not None and release.valid_until < now:
        raise FetchError(
            f"it was valid until {timestamp(release.valid_until)} only: the mirror is out of date",
            hint="use another mirror; for one that is frozen on purpose, switch "
            "Check-Valid-Until off in its configuration",
        )
