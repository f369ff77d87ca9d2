"""The Debian archives that this machine's apt reads.

sources.list(5), apt.conf(5).  Every function takes the root folder to look in.  Only archives
of the distribution itself count: other repositories use the same suite names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envlock.debian_archive import RELEASES, Archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_POCKETS = ("", "-updates", "-security")
"""Suites that apt takes packages from by default; backports are not among them."""

DEFAULT_KEYRING = Path("usr/share/keyrings/debian-archive-keyring.gpg")
"""Below the root: where the package debian-archive-keyring puts Debian's keys."""

_KEYRING_NAME = "debian-archive"
"""A source signed by other keys than the distribution's is another distribution."""

_ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

_NO = {"no", "false", "without", "off", "disable", "0"}
"""apt's words for False (apt.conf(5))."""

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)")
_VALID_UNTIL = re.compile(r'^Acquire::Check-Valid-Until\s+"([^"]*)";', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AptSource:
    """One entry of apt's sources.

    signed_by: absolute paths, empty where the entry names none; key: an OpenPGP certificate that
    the entry itself carries.
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: tuple[str, ...] = ()
    key: bytes = b""
    check_valid_until: bool = True


def apt_archives(
    root: Path,
    *,
    suite: str,
    distribution: str = "debian",
    components: Sequence[str] = ("main",),
    check_valid_until: bool = True,
) -> list[Archive]:
    """Return the archives for a suite among the apt sources below ``root``, the main one first.

    ``check_valid_until``: apt's own setting, see :func:`parse_check_valid_until`.  Where no
    source has the suite, the mirrors of another of Debian's serve, as their pools are one.
    Empty for a distribution other than Debian, and on another distribution.
    """
    if distribution != "debian":
        return []
    sources = [
        source
        for source in read_sources(root)
        if set(components) & set(source.components) and _is_debian(source)
    ]
    found = _entries(sources, suite, suite)
    for other in RELEASES if suite in RELEASES else ():
        found = found or _entries(sources, suite, other)
    return [
        _archive(root, name, entries, check_valid_until)
        for name, entries in found.items()
        if entries
    ]


def _entries(
    sources: Sequence[AptSource], suite: str, named: str
) -> dict[str, list[tuple[AptSource, str]]]:
    """Return the sources of a suite by archive: those that name it, or ``named`` in its place.

    Empty where none has the suite itself.
    """
    found: dict[str, list[tuple[AptSource, str]]] = {"debian": [], "debian-security": []}
    for source in sources:
        for pocket in _POCKETS:
            if named + pocket in source.suites:
                archive = "debian-security" if pocket == "-security" else "debian"
                found[archive].append((source, suite + pocket))
    return found if any(name == suite for _, name in found["debian"]) else {}


def _archive(
    root: Path, name: str, entries: Sequence[tuple[AptSource, str]], check_valid_until: bool
) -> Archive:
    # a key in the entry may be anybody's: it counts where no entry has the distribution's own
    plain = [entry for entry in entries if not entry[0].key]
    entries = plain or entries
    sources = [source for source, _ in entries]
    return Archive(
        name=name,
        suites=tuple(dict.fromkeys(suite for _, suite in entries)),
        urls=tuple(dict.fromkeys(uri.rstrip("/") for s in sources for uri in s.uris)),
        keyring=_keyring(root, sources),
        check_valid_until=check_valid_until and all(s.check_valid_until for s in sources),
    )


def _keyring(root: Path, sources: Sequence[AptSource]) -> Path | bytes:
    """Return the keys that the sources name, or the distribution's own.

    A named file that is not there is returned as it is: to trust other keys in its place would
    not be what its owner asked for.
    """
    named = [root / path.lstrip("/") for source in sources for path in source.signed_by]
    keys = dict.fromkeys(source.key for source in sources if source.key)
    if keys and not named:
        return b"\n".join(keys)
    existing = (path for path in named if path.is_file())
    return next(existing, named[0] if named else root / DEFAULT_KEYRING)


def _is_debian(source: AptSource) -> bool:
    """Return whether a source is signed by the distribution, as far as apt's files tell."""
    return not source.signed_by or any(
        Path(path).name.startswith(_KEYRING_NAME) for path in source.signed_by
    )


def read_sources(root: Path) -> list[AptSource]:
    """Return all enabled binary sources below ``root``, in the order in which apt reads them.

    Files that cannot be read are left out, as are entries that are not http or https.
    """
    folder = root / "etc/apt/sources.list.d"
    parts = sorted(folder.iterdir()) if folder.is_dir() else []
    sources: list[AptSource] = []
    for path in [root / "etc/apt/sources.list", *parts]:
        if path.suffix not in {".list", ".sources"} or not path.is_file():
            continue
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        parser = parse_deb822 if path.suffix == ".sources" else parse_one_line
        sources += parser(text)
    return sources


def parse_deb822(text: str) -> Iterator[AptSource]:
    """Yield the entries of a ``.sources`` file."""
    uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n[ \t]*\n", uncommented):
        fields = _stanza(stanza)
        if fields.get("enabled", "yes").strip().lower() in _NO:
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        source = _source(
            fields.get("uris", "").split(),
            fields.get("suites", "").split(),
            fields.get("components", "").split(),
            fields.get("signed-by", "").strip(),
            fields.get("check-valid-until", "yes"),
        )
        if source is not None:
            yield source


def _stanza(text: str) -> dict[str, str]:
    """Return a stanza's fields, lenient as apt is: what is no field is no reason to fail."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line[:1] in {" ", "\t"} and name:
            fields[name] += "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def parse_one_line(text: str) -> Iterator[AptSource]:
    """Yield the entries of a ``.list`` file."""
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(
            option.split("=", 1) for option in (match["options"] or "").split() if "=" in option
        )
        suite, *components = match["rest"].split()
        source = _source(
            [match["uri"]],
            [suite],
            components,
            options.get("signed-by", "").replace(",", " "),
            options.get("check-valid-until", "yes"),
        )
        if source is not None:
            yield source


def _source(
    uris: Sequence[str],
    suites: Sequence[str],
    components: Sequence[str],
    signed_by: str,
    check_valid_until: str,
) -> AptSource | None:
    """Return an entry if any of its URIs can be read over HTTP."""
    readable = tuple(uri for uri in uris if urlsplit(uri).scheme in {"http", "https"})
    if not readable:
        return None
    return AptSource(
        uris=readable,
        suites=tuple(suite.rstrip("/") for suite in suites),
        components=tuple(components),
        signed_by=tuple(word for word in signed_by.split() if word.startswith("/")),
        key=_key(signed_by),
        check_valid_until=check_valid_until.strip().lower() not in _NO,
    )


def _key(signed_by: str) -> bytes:
    """Return the armored certificate in a Signed-By field, where a lone dot is an empty line."""
    if not signed_by.startswith(_ARMOR):
        return b""
    lines = signed_by.splitlines()
    return "".join("\n" if line == "." else f"{line}\n" for line in lines).encode()


def parse_check_valid_until(apt_config_dump: str) -> bool:
    """Return ``Acquire::Check-Valid-Until`` from what ``apt-config dump`` prints; True if unset."""
    found = _VALID_UNTIL.findall(apt_config_dump)
    return not found or found[-1].strip().lower() not in _NO
