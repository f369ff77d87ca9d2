"""A wheel as layer entries, installed as the binary distribution format says.

Follows "Binary distribution format" and "Recording installed projects" of the PyPA
specifications (PEP 427, 376, 627) without running anything: files go to site-packages,
``.data`` folders to their scheme, entry points become scripts, RECORD tells it all.
Bytecode is not compiled: it would differ between Python builds.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import posixpath
import re
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.layers.entry import Bytes, Content, Entry, check_path, regular
from envlock.layers.scheme import Scheme, normalized
from envlock.layers.wheelplaces import SIGNATURES, Places, Script, scripts_of
from envlock.layers.zipcontent import Joined, ZipFileInfo, ZipMember, read_zip

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["Scheme", "normalized", "normalized_version", "wheel_entries"]

INSTALLER = b"envlock\n"
_RECORD_HASH = re.compile(r"(?:[A-Za-z0-9_]+=[A-Za-z0-9_=+/-]+)?")
_RECORD_SIZE = re.compile(r"[0-9]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_METADATA = 64 * 1024 * 1024
_VERSION = re.compile(  # the version scheme of PEP 440, appendix B, and "_" as wheels write "-"
    r"v?(?:(?P<epoch>\d+)[!_])?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>\d*))?"
    r"(?:[-_](?P<post_n1>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n2>\d*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>\d*))?"
    r"(?:[+](?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?"
)
_LONGEST_VERSION = 255
"""Characters; a wheel's name is a file's, and Python reads no numbers of some thousand digits."""
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


def normalized_version(version: str) -> str:
    """Return a version's normal form (PEP 440) without trailing zeros, or the text itself."""
    match = _VERSION.fullmatch(version.strip().lower())
    if match is None or len(version) > _LONGEST_VERSION:
        return version
    found = match.groupdict(default="")
    release = [int(part) for part in found["release"].split(".")]
    while len(release) > 1 and not release[-1]:
        release.pop()
    text = f"{int(found['epoch'] or 0)}!" + ".".join(map(str, release))
    if found["pre"]:
        text += f"{_PRE.get(found['pre'], found['pre'])}{int(found['pre_n'] or 0)}"
    if found["post"] or found["post_n1"]:
        text += f".post{int(found['post_n1'] or found['post_n2'] or 0)}"
    if found["dev"]:
        text += f".dev{int(found['dev_n'] or 0)}"
    local = re.split(r"[-_.]", found["local"])
    return "+".join([text, *filter(None, [".".join(map(_without_zeros, local))])])


def _without_zeros(part: str) -> str:
    return str(int(part)) if part.isdigit() else part


def wheel_entries(
    path: Path,
    archive: BinaryIO,
    scheme: Scheme,
    *,
    name: str,
    version: str,
    without: Collection[str] = (),
) -> list[Entry]:
    """Return what the wheel ``path`` installs, in the archive's order.

    without: paths below the prefix of files that give way to another wheel's: they are left
    out, and out of RECORD, since a file has one owner.
    Raises ArtifactError if the wheel is malformed, is for another distribution than
    ``name`` ``version``, puts a file outside the environment's prefix, or lacks one of ``without``.
    """
    return _Wheel(path, archive, scheme, name=name, version=version).entries(without)


class _Wheel:
    def __init__(
        self, path: Path, archive: BinaryIO, scheme: Scheme, *, name: str, version: str
    ) -> None:
        self._file = path.name
        self._scheme = scheme
        self._files = {info.name: info for info in read_zip(path, archive)}
        self._dist_info = self._find_dist_info(name, version)
        self._places = Places(self._dist_info, scheme)
        self._check_wheel_file()

    def entries(self, without: Collection[str]) -> list[Entry]:
        entries: dict[str, Entry] = {}
        own: dict[str, Entry] = {}
        members: dict[str, str] = {}
        for info in self._files.values():
            target = self._target(info.name)
            if target is None:
                continue
            if target in entries:
                raise ArtifactError(f"{self._file} has two files for {target!r}")
            entries[target], members[target] = self._entry(target, info), info.name
            if info.name.startswith(f"{self._places.data}/"):
                own[target] = entries[target]
        for entry in [*self._scripts(), regular(f"{self._installed}/INSTALLER", INSTALLER)]:
            entries.pop(entry.path, None)
            entries[entry.path] = own[entry.path] = entry
        left_out = self._leave_out(without, entries, own)
        gone = {members[path] for path in left_out if path in members}
        record = self._record([self._row(entry) for entry in own.values()], gone)
        return [*entries.values(), record]

    def _leave_out(self, without: Collection[str], *tables: dict[str, Entry]) -> list[str]:
        """Remove what gives way from tables of entries; return its paths in the image."""
        paths = [f"{self._scheme.prefix}/{path}" for path in without]
        for path in paths:
            if not [table.pop(path) for table in tables if path in table]:
                raise ArtifactError(
                    f"{self._file} has no file {path.removeprefix(f'{self._scheme.prefix}/')}, of "
                    "which the lock says that it gives way to another wheel's",
                    hint="solve again",
                )
        return paths

    @property
    def _installed(self) -> str:
        return f"{self._scheme.site_packages}/{self._dist_info}"

    def _find_dist_info(self, name: str, version: str) -> str:
        found = sorted({part for part in (file.split("/")[0] for file in self._files)
                        if part.endswith(".dist-info")})  # fmt: skip
        if len(found) != 1:
            raise ArtifactError(f"{self._file} has {len(found)} .dist-info folders, not one")
        stem = found[0].removesuffix(".dist-info")
        project, _, release = stem.rpartition("-")
        if normalized(project) != normalized(name):
            raise ArtifactError(f"{self._file} holds {stem}, not {name} {version}")
        told, wanted = normalized_version(release), normalized_version(version)
        if told not in {wanted, wanted.partition("+")[0]}:
            raise ArtifactError(f"{self._file} holds {stem}, not {name} {version}")
        return found[0]

    def _check_wheel_file(self) -> None:
        """Refuse a newer major Wheel-Version, as the specification asks of installers."""
        text = self._text("WHEEL")
        match = re.search(r"(?mi)^Wheel-Version:\s*(\d+)\.", text)
        if match is None or match[1] != "1":
            found = match[0] if match else "no Wheel-Version"
            raise ArtifactError(f"{self._file}: its WHEEL file has {found}; envlock knows 1.x")
        for required in ("METADATA", "RECORD"):
            info = self._files.get(f"{self._dist_info}/{required}")
            if info is None:
                raise ArtifactError(f"{self._file} has no {required}")
            self._bounded(info)

    def _text(self, name: str) -> str:
        info = self._files.get(f"{self._dist_info}/{name}")
        if info is None:
            return ""
        self._bounded(info)
        try:
            return info.member.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{self._file}: {name} is not UTF-8") from error

    def _bounded(self, info: ZipFileInfo) -> None:
        if info.member.size > _MAX_METADATA:
            raise ArtifactError(f"{self._file}: {info.name} is absurdly large")

    def _target(self, name: str) -> str | None:
        """Return where a file of the wheel goes, or None for what is made anew."""
        check_path(name)
        with self._named():
            return self._places.of(name)

    def _entry(self, target: str, info: ZipFileInfo) -> Entry:
        content: Content = info.member
        mode = 0o755 if info.unix_mode & 0o111 else 0o644
        if info.name.startswith(f"{self._places.data}/scripts/"):
            content, mode = self._script_content(info), 0o755
        return Entry(path=target, kind="file", mode=mode, content=content)

    def _script_content(self, info: ZipFileInfo) -> Content:
        """Return a script with ``#!python`` made to name the environment's interpreter."""
        start = next(info.member.plain_pieces(), b"")
        if not start.startswith(b"#!python"):
            return info.member
        self._bounded(info)
        _, newline, rest = info.member.read().partition(b"\n")
        return Bytes(self._scheme.shebang.encode().removesuffix(b"\n") + newline + rest)

    def _scripts(self) -> list[Entry]:
        """Return the console and GUI scripts."""
        text = self._text("entry_points.txt")
        with self._named():
            return [self._script(one) for one in scripts_of(text)]

    def _script(self, one: Script) -> Entry:
        text = (
            f"{self._scheme.shebang}"
            "import sys\n"
            f"from {one.module} import {one.attribute.split('.')[0]}\n"
            'if __name__ == "__main__":\n'
            f"    sys.exit({one.attribute}())\n"
        )
        return regular(f"{self._scheme.scripts}/{one.name}", text.encode(), 0o755)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Put the wheel's name before what is wrong with a part of it."""
        try:
            yield
        except ArtifactError as error:
            raise ArtifactError(f"{self._file}: {error.message}") from error

    def _record(self, rows: list[tuple[str, str, str]], given_way: Collection[str]) -> Entry:
        """Return RECORD: the wheel's own rows and those of what the installation added.

        given_way: the wheel's files that are not installed.
        """
        tail = io.StringIO()
        csv.writer(tail, lineterminator="\n").writerows(sorted(rows))
        original = self._files[f"{self._dist_info}/RECORD"].member
        path = f"{self._installed}/RECORD"
        read = self._record_rows()
        gone = {f"{self._dist_info}/{name}" for name in ("INSTALLER", *SIGNATURES)}
        gone |= {name for name in self._files if name.startswith(f"{self._places.data}/")}
        gone |= {*given_way}
        if not gone & self._files.keys():
            last = original.read()[-1:]
            glue = b"" if last in {b"\n", b""} else b"\n"
            joined = Joined(original, glue + tail.getvalue().encode())
            return Entry(path=path, kind="file", mode=0o644, content=joined)
        kept = [row for row in read if row[0] not in gone]
        head = io.StringIO()
        csv.writer(head, lineterminator="\n").writerows(kept)
        return regular(path, (head.getvalue() + tail.getvalue()).encode())

    def _record_rows(self) -> list[list[str]]:
        """Return the rows of the wheel's RECORD; none leads out of the environment."""
        try:
            read = list(csv.reader(io.StringIO(self._text("RECORD"), newline="")))
        except csv.Error as error:
            raise ArtifactError(f"{self._file}: its RECORD is malformed ({error})") from error
        rows = [row for row in read if row]
        for row in rows:
            wrong = self._wrong_row(row)
            if wrong:
                shown = ",".join(row)[:200]
                raise ArtifactError(f"{self._file}: the row {shown!r} of its RECORD {wrong}")
        return rows

    def _wrong_row(self, row: list[str]) -> str | None:
        """Say what is wrong with a row ("Recording installed projects", the RECORD file)."""
        if len(row) != 3:
            return f"has {len(row)} columns, not 3"
        path, sha256, size = row
        if not path or _CONTROL.search(path):
            return "names no path"
        if not _RECORD_HASH.fullmatch(sha256) or not _RECORD_SIZE.fullmatch(size):
            return "has no hash and size"
        place = posixpath.normpath(posixpath.join("/", self._scheme.site_packages, path))
        if path.startswith("/") or not place.startswith(f"/{self._scheme.prefix}/"):
            return "leads out of the environment"
        return None

    def _row(self, entry: Entry) -> tuple[str, str, str]:
        """Return a RECORD row: path relative to site-packages, hash and size."""
        assert entry.content is not None
        content, sha256 = entry.content, hashlib.sha256()
        pieces = content.plain_pieces() if isinstance(content, ZipMember) else [content.read()]
        for piece in pieces:
            sha256.update(piece)
        digest = base64.urlsafe_b64encode(sha256.digest()).rstrip(b"=").decode()
        where = _relative(entry.path, self._scheme.site_packages)
        return where, f"sha256={digest}", str(content.size)


def _relative(path: str, folder: str) -> str:
    """Return ``path`` relative to ``folder``; both lie below one root."""
    parts, base = path.split("/"), folder.split("/")
    common = 0
    while common < min(len(parts) - 1, len(base)) and parts[common] == base[common]:
        common += 1
    return "/".join([*[".."] * (len(base) - common), *parts[common:]])
