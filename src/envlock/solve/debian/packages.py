"""Packages: the binary packages of one component and architecture.

The index has some 66,000 stanzas in 50 MB, of which a solve needs a few hundred: stanzas are
found quickly and parsed when somebody asks for them.  DebianRepository/Format, "Packages".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, FetchError, IntegrityError
from envlock.layers.unpacked import inflate
from envlock.solve.debian.fields import NAME, parse_clause, parse_fields, split_clauses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.solve.debian.release import IndexFile, Release
    from envlock.solve.debian.transport import Transport

_SUFFIXES = (".xz", ".gz", "")
"""Best first; every Debian suite has the first."""

_LIMIT = 1 << 30
"""Bytes of an index, whatever its Release promises."""

_VERSION = re.compile(r"(?:[0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~:\-]*")
_PATH = re.compile(r"[A-Za-z0-9][^\s/\\]*(?:/[A-Za-z0-9_][^\s/\\]*)*\.deb")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """One binary package as its index states it.

    depends: the clauses of Pre-Depends and Depends, in that order, as written; conflicts: those
    of Conflicts and Breaks; filename: below the archive's base; size in bytes; origin: position
    of the index that it is from in the order given to :class:`PackageIndex`.
    """

    name: str
    version: str
    architecture: str
    multi_arch: str
    priority: str
    filename: str
    sha256: str
    size: int
    depends: tuple[str, ...]
    provides: tuple[str, ...]
    conflicts: tuple[str, ...]
    origin: int


class PackageIndex:
    """All packages of some indexes for one architecture; earlier indexes win ties."""

    def __init__(self, architecture: str) -> None:
        self._architecture = architecture
        self._stanzas: dict[str, list[tuple[int, bytes]]] = {}
        self._providers: dict[str, dict[str, None]] = {}
        self._parsed: dict[str, tuple[DebianPackage, ...]] = {}

    def add(self, packages: bytes, origin: int) -> None:
        """Take in the text of one Packages file."""
        for stanza in packages.split(b"\n\n"):
            name = _field(stanza, b"Package:")
            if not name:
                if stanza.strip():
                    raise ArtifactError(f"a stanza without a package: {stanza[:80]!r}")
                continue
            self._stanzas.setdefault(name, []).append((origin, stanza))
            for clause in split_clauses(_field(stanza, b"Provides:")):
                virtual = parse_clause(clause)[0].name
                self._providers.setdefault(virtual, {})[name] = None

    @property
    def names(self) -> Iterable[str]:
        """The names of the real packages."""
        return self._stanzas.keys()

    def providers(self, name: str) -> list[str]:
        """Return the real packages of which some version provides the virtual ``name``, sorted."""
        return sorted(self._providers.get(name, ()))

    def versions(self, name: str) -> tuple[DebianPackage, ...]:
        """Return every version of a real package, each once, in index order."""
        if name not in self._parsed:
            found: dict[str, DebianPackage] = {}
            for origin, stanza in self._stanzas.get(name, ()):
                package = parse_package(stanza, origin)
                if package.architecture in {self._architecture, "all"}:
                    found.setdefault(package.version, package)
            self._parsed[name] = tuple(found.values())
        return self._parsed[name]


def _field(stanza: bytes, field: bytes) -> str:
    """Return one single-line field of a stanza, without parsing the others."""
    start = 0 if stanza.startswith(field) else stanza.find(b"\n" + field) + 1
    if start == 0 and not stanza.startswith(field):
        return ""
    end = stanza.find(b"\n", start)
    line = stanza[start + len(field) : end if end >= 0 else len(stanza)]
    return line.decode("utf-8", "replace").strip()


def parse_package(stanza: bytes, origin: int) -> DebianPackage:
    """Parse a stanza of a Packages file; ArtifactError where a field breaks policy 5.6."""
    fields = parse_fields(stanza.decode("utf-8", "replace"))
    name = _checked(fields, "package", NAME)
    return DebianPackage(
        name=name,
        version=_checked(fields, "version", _VERSION),
        architecture=_checked(fields, "architecture", NAME),
        multi_arch=fields.get("multi-arch", "no"),
        priority=fields.get("priority", "optional"),
        filename=_checked(fields, "filename", _PATH),
        sha256=_checked(fields, "sha256", _SHA256),
        size=int(_checked(fields, "size", re.compile(r"[0-9]{1,12}"))),
        depends=split_clauses(fields.get("pre-depends", ""))
        + split_clauses(fields.get("depends", "")),
        provides=split_clauses(fields.get("provides", "")),
        conflicts=split_clauses(fields.get("conflicts", ""))
        + split_clauses(fields.get("breaks", "")),
        origin=origin,
    )


def _checked(fields: dict[str, str], field: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(field, "")
    if not pattern.fullmatch(value):
        package = fields.get("package", "?")
        raise ArtifactError(f"package {package[:80]}: the field {field} is {value[:120]!r}")
    return value


def index_path(component: str, architecture: str) -> str:
    """Return where a component's index lies below ``dists/<suite>/``, without a suffix."""
    return f"{component}/binary-{architecture}/Packages"


def has_index(release: Release, component: str, architecture: str) -> bool:
    """Return whether a suite carries this component for this architecture at all."""
    return index_path(component, architecture) in release.files


def read_packages(
    transport: Transport, base: str, release: Release, component: str, architecture: str
) -> bytes:
    """Return one verified, decompressed Packages file.

    ``base``: URL of ``dists/<suite>``.  Size and sha256 are compared with the Release before
    anything is decompressed, and again afterwards.  Raises FetchError or IntegrityError.
    """
    plain = index_path(component, architecture)
    promised = release.files[plain]
    suffix = next(s for s in _SUFFIXES if plain + s in release.files)
    packed = _download(transport, base, release, plain + suffix)
    try:
        text = inflate(packed, suffix, min(promised.size, _LIMIT))
    except ArtifactError as error:
        raise IntegrityError(error.message, where=f"{base}/{plain}{suffix}") from error
    _verify(text, promised, f"{base}/{plain}{suffix} (decompressed)")
    return text


def _download(transport: Transport, base: str, release: Release, path: str) -> bytes:
    """Read ``path`` by its hash where the archive offers that: it cannot change under us."""
    promised = release.files[path]
    if promised.size > _LIMIT:
        raise FetchError(f"{path} has {promised.size} bytes", where=base)
    folder = path.rpartition("/")[0]
    urls = [f"{base}/{path}"]
    if release.by_hash:
        urls.insert(0, f"{base}/{folder}/by-hash/SHA256/{promised.sha256}")
    for url in urls[:-1]:
        try:
            data = transport.read(url, limit=promised.size)
            _verify(data, promised, url)
        except FetchError:
            continue
        return data
    data = transport.read(urls[-1], limit=promised.size)
    _verify(data, promised, urls[-1])
    return data


def _verify(data: bytes, promised: IndexFile, where: str) -> None:
    if len(data) != promised.size:
        raise IntegrityError(f"has {len(data)} bytes instead of {promised.size}", where=where)
    if sha256(data).hexdigest() != promised.sha256:
        raise IntegrityError("its sha256 is not the one in the signed Release", where=where)
