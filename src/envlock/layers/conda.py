"""A conda package as layer entries, installed as conda does it (CEP 34, CEP 20), without conda.

Files go below the prefix, which is written into those that hold a placeholder; noarch Python
packages go to the interpreter's site-packages and get their entry points; ``conda-meta`` tells
it all.  Nothing is run: no link script, no activation script, and no bytecode is compiled.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import posixpath
import zlib
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError
from envlock.layers.coded import Coded, Pieced, Pieces
from envlock.layers.condacheck import check_contents, check_identity
from envlock.layers.condapaths import (
    PackagePath,
    entry_point,
    installed_path,
    read_linking,
    read_paths,
)
from envlock.layers.condaprefix import replaced
from envlock.layers.entry import Entry, directory, symlink
from envlock.layers.scheme import Scheme, normalized, shebang

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.layers.condaarchive import CondaArchive
    from envlock.layers.tarreader import Member
    from envlock.lock.model import Artifact, CondaRecord

CHANNELS = "https://conda.invalid"
"""Where ``conda-meta`` says that packages are from: a host that cannot exist (RFC 2606)."""

_AT_HAND = 16 << 20
"""Files of more bytes than this are read piece by piece, unless the prefix is in them."""

_HOSTILE = "this artifact is malformed or hostile; do not use it"


def conda_entries(
    archive: CondaArchive, artifact: Artifact, scheme: Scheme, *, without: str | None = None
) -> Iterator[Entry]:
    """Yield what a package installs, its record in ``conda-meta`` last.

    without: a distribution (normalized name) whose files another artifact brings.  Contents
    can be read as long as the archive is open.  Raises ArtifactError for a package that is
    malformed, is not what ``artifact`` says, or leaves the prefix.
    """
    try:
        yield from _Package(archive, artifact, scheme, without).entries()
    except ArtifactError as error:
        raise ArtifactError(
            error.message,
            where=error.where or artifact.file,
            details=error.details,
            hint=error.hint,
        ) from None


class _Package:
    def __init__(
        self, archive: CondaArchive, artifact: Artifact, scheme: Scheme, without: str | None
    ) -> None:
        assert artifact.conda is not None
        self._archive, self._artifact, self._scheme = archive, artifact, scheme
        self._record: CondaRecord = artifact.conda
        check_identity(archive, artifact)
        self._linking = read_linking(archive, self._record.noarch)
        self._paths = read_paths(archive)
        check_contents(artifact, [item.path for item in self._paths])
        self._without = without
        self._clobbered = {path for path, _ in self._record.clobbered}
        self._written: dict[str, str] = {}
        self._kinds: dict[str, str] = {}
        self._described: list[dict[str, Any]] = []

    def entries(self) -> Iterator[Entry]:
        dropped = self._copy_of(self._without) if self._without else frozenset[str]()
        for item in self._paths:
            if item.path not in dropped and not self._gives_way(self._place(item.path)):
                yield self._take(self._entry(item))
        if self._without is None:
            for point in self._linking.entry_points:
                if not self._gives_way(self._script_place(point)):
                    yield self._take(self._script(point))
        if self._clobbered:
            raise ArtifactError(
                f"it has no file {min(self._clobbered)}, of which the lock says that it gives way "
                "to another package's",
                hint="solve again",
            )
        yield self._take(self._meta())

    def _gives_way(self, place: str) -> bool:
        """Tell whether another package's file of this path is kept; each is asked for once."""
        below = place.removeprefix(f"{self._scheme.prefix}/")
        if below not in self._clobbered:
            return False
        self._clobbered.discard(below)
        return True

    def _take(self, entry: Entry) -> Entry:
        """Note an entry; raises ArtifactError where it meddles with an earlier one."""
        earlier = self._kinds.get(entry.path)
        if earlier is not None and not earlier == entry.kind == "dir":
            raise ArtifactError(f"it has two files for {entry.path!r}", hint=_HOSTILE)
        parent = entry.path.rpartition("/")[0]
        while parent:
            known = self._kinds.setdefault(parent, "dir")
            if known != "dir":
                raise ArtifactError(
                    f"the path {entry.path!r} leads through {parent!r}, a {known}", hint=_HOSTILE
                )
            parent = parent.rpartition("/")[0]
        self._kinds[entry.path] = entry.kind
        return entry

    def _place(self, path: str) -> str:
        """Return where a path of the package goes, relative to the image's root."""
        site = self._scheme.site_packages.removeprefix(f"{self._scheme.prefix}/")
        below = installed_path(path, noarch=self._linking.noarch, site=site)
        return f"{self._scheme.prefix}/{below}"

    def _entry(self, item: PackagePath) -> Entry:
        place = self._place(item.path)
        member = self._archive.members.get(item.path)
        if item.kind == "directory":
            return directory(place)
        if member is None:
            raise ArtifactError(f"info/paths.json lists {item.path!r}, and the package lacks it")
        if item.kind == "softlink":
            return self._link(item, place, member)
        if member.kind not in {"file", "hardlink"}:
            raise ArtifactError(
                f"info/paths.json lists {item.path!r} as a file, and it is a {member.kind}"
            )
        return self._file(item, place, member)

    def _link(self, item: PackagePath, place: str, member: Member) -> Entry:
        if member.kind != "symlink":
            raise ArtifactError(
                f"info/paths.json lists {item.path!r} as a link, and it is a {member.kind}"
            )
        target = member.linkname
        leads = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        if not target or target.startswith("/") or not leads.startswith(f"{self._scheme.prefix}/"):
            raise ArtifactError(
                f"{item.path!r} is a link to {target!r}, which leads out of the environment",
                hint=_HOSTILE,
            )
        self._describe(place, "softlink")
        return symlink(place, target)

    def _file(self, item: PackagePath, place: str, member: Member) -> Entry:
        origin = self._origin(item.path, member)
        content, sha256, crc = _looked_at(origin.content)  # type: ignore[arg-type]
        if (item.sha256 or sha256, content.size if item.size is None else item.size) != (
            sha256,
            content.size,
        ):
            raise ArtifactError(
                f"{item.path!r} is not the file that info/paths.json describes",
                details=(
                    f"  told:  sha256 {item.sha256}, {item.size} bytes",
                    f"  found: sha256 {sha256}, {content.size} bytes",
                ),
            )
        mode = 0o755 if origin.mode & 0o100 else 0o644
        if item.placeholder is None:
            self._describe(place, "hardlink", sha256=sha256, size=content.size)
            first = self._written.setdefault(origin.name, place)
            if first != place:
                return Entry(path=place, kind="hardlink", mode=mode, target=first)
            return Entry(path=place, kind="file", mode=mode, content=Coded(content, crc))
        try:
            data = replaced(
                content.read(), item.placeholder, f"/{self._scheme.prefix}", binary=item.binary
            )
        except ArtifactError as error:
            raise ArtifactError(f"{item.path!r}: {error.message}", hint=error.hint) from None
        found = hashlib.sha256(data).hexdigest()
        more = {
            "prefix_placeholder": item.placeholder,
            "file_mode": "binary" if item.binary else "text",
            "sha256_in_prefix": found,
        }
        self._describe(place, "hardlink", sha256=sha256, size=content.size, **more)
        coded = Coded(Pieces(data), zlib.crc32(data))
        return Entry(path=place, kind="file", mode=mode, content=coded)

    def _origin(self, path: str, member: Member) -> Member:
        """Return the file that a member of the tar is, or is a hard link to."""
        seen = {path}
        while member.kind == "hardlink":
            name = member.linkname.removeprefix("./")
            target = self._archive.members.get(name)
            if target is None or name in seen or target.kind not in {"file", "hardlink"}:
                raise ArtifactError(
                    f"{path!r} is a hard link to {member.linkname!r}, which is no file of the "
                    "package",
                    hint=_HOSTILE,
                )
            seen.add(name)
            member = target
        return member

    def _script_place(self, point: str) -> str:
        return f"{self._scheme.scripts}/{entry_point(point)['name']}"

    def _script(self, point: str) -> Entry:
        """Return the script of an entry point of a noarch Python package."""
        match = entry_point(point)
        function = match["object"]
        text = (
            f"{shebang(f'/{self._scheme.scripts}/python{self._scheme.python}')}"
            "import sys\n"
            f"from {match['module']} import {function.partition('.')[0]}\n"
            'if __name__ == "__main__":\n'
            f"    sys.exit({function}())\n"
        ).encode()
        place = self._script_place(point)
        digest = hashlib.sha256(text).hexdigest()
        self._describe(
            place,
            "unix_python_entry_point",
            sha256=digest,
            size=len(text),
        )
        return Entry(
            path=place, kind="file", mode=0o755, content=Coded(Pieces(text), zlib.crc32(text))
        )

    def _describe(
        self,
        place: str,
        path_type: str,
        *,
        sha256: str | None = None,
        size: int | None = None,
        **more: str,
    ) -> None:
        below = place.removeprefix(f"{self._scheme.prefix}/")
        told: dict[str, Any] = {"_path": below, "path_type": path_type, **more}
        if sha256 is not None:
            told |= {"sha256": sha256, "size_in_bytes": size}
            told.setdefault("sha256_in_prefix", sha256)
        self._described.append(told)

    def _meta(self) -> Entry:
        """Return ``conda-meta/<name>-<version>-<build>.json``, as conda and rattler read it."""
        data = json.dumps(record_value(self._artifact, self._described), indent=1, sort_keys=True)
        record = f"{self._artifact.name}-{self._artifact.version}-{self._record.build}"
        content = Pieces(f"{data}\n".encode())
        return Entry(
            path=f"{self._scheme.prefix}/conda-meta/{record}.json",
            kind="file",
            mode=0o644,
            content=Coded(content, zlib.crc32(content.data)),
        )

    def _copy_of(self, distribution: str) -> frozenset[str]:
        """Return the paths that are the package's copy of a distribution, by its RECORD."""
        paths = {item.path for item in self._paths}
        for path in sorted(paths):
            folder, _, name = path.rpartition("/")
            project = folder.rpartition("/")[2].removesuffix(".dist-info").rpartition("-")[0]
            if name != "RECORD" or normalized(project) != distribution:
                continue
            site = folder.rpartition("/")[0]
            member = self._archive.members[path]
            text = self._origin(path, member).content.read().decode("utf-8", "replace")
            rows = [row[0] for row in csv.reader(io.StringIO(text, newline="")) if row]
            copy = {posixpath.normpath(posixpath.join(site, row)) for row in rows}
            copy |= {path for path in paths if path.startswith(f"{folder}/")}
            sources = {posixpath.splitext(one)[0] for one in copy}
            copy |= {path for path in paths if _source(path) in sources}
            return frozenset(copy & paths)
        raise ArtifactError(
            f"it has no RECORD of {distribution}, so that its copy cannot be told from its rest",
            hint=f"leave {self._artifact.name} out, or do not override {distribution}",
        )


def _source(path: str) -> str | None:
    """Return the stem of the module that a ``.pyc`` was compiled from (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    if not folder.endswith("/__pycache__") or not name.endswith(".pyc"):
        return None
    return f"{folder.removesuffix('/__pycache__')}/{name.partition('.')[0]}"


def _looked_at(content: Pieced) -> tuple[Pieced, str, int]:
    """Return a content, read once if it is small, with its sha256 (hex) and CRC-32."""
    kept: Pieced = Pieces(content.read()) if content.size <= _AT_HAND else content
    sha256, crc = hashlib.sha256(), 0
    for piece in kept.pieces():
        sha256.update(piece)
        crc = zlib.crc32(piece, crc)
    return kept, sha256.hexdigest(), crc


def record_value(artifact: Artifact, described: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a package's record (conda's PrefixRecord) with nothing of this machine in it."""
    record = artifact.conda
    assert record is not None
    channel = f"{CHANNELS}/{artifact.source}"
    value: dict[str, Any] = {
        "build": record.build,
        "build_number": record.build_number,
        "channel": channel,
        "constrains": list(record.constrains),
        "depends": list(artifact.depends),
        "files": [item["_path"] for item in described],
        "fn": artifact.file,
        "license": record.license,
        "md5": record.md5,
        "name": artifact.name,
        "noarch": record.noarch,
        "paths_data": {"paths": described, "paths_version": 1},
        "python_site_packages_path": record.python_site_packages_path,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "subdir": record.subdir,
        "track_features": " ".join(record.track_features),
        "url": f"{channel}/{artifact.path}",
        "version": artifact.version,
    }
    return {key: item for key, item in value.items() if item is not None}
