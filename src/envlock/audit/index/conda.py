"""What the audit reads of a conda package, and its index.

A package's files cannot be read one by one: its tar is unpacked once, and the code and the
metadata below its site-packages (CEP 20, CEP 34) go to a zip in a scratch folder, laid out
like a wheel.  From there on it is indexed as wheels are.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import posixpath
import re
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from envlock.audit.index.layout import module_of
from envlock.audit.index.model import Distribution
from envlock.audit.index.module import SOURCE_LIMIT, SkippedError
from envlock.audit.index.wheel import (
    MEMBERS_LIMIT,
    METADATA_LIMIT,
    TOTAL_LIMIT,
    assemble,
    entry_points_of,
    metadata_of,
)
from envlock.errors import ArtifactError
from envlock.files import disk_errors
from envlock.layers.condaarchive import open_conda
from envlock.layers.condapaths import read_linking, read_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.index.wheel import Archive
    from envlock.layers.condaarchive import CondaArchive
    from envlock.layers.tarreader import Member

PYTHONS = frozenset({"python", "python_abi"})
"""Packages whose modules are the standard library, which the target has by definition."""

_ABOUT = ".conda.json"
"""The member of the zip that tells about the package."""

_SITE = re.compile(r"lib/python3\.[0-9]+t?/site-packages/")
_NOARCH_SITE = re.compile(r"site-packages/")
_NAME = re.compile(r"(?:[^\s:]+::)?\s*(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)")
_METADATA = re.compile(
    r"[^/]+(?:\.dist-info/(?:METADATA|RECORD|entry_points\.txt)"
    r"|\.egg-info(?:/(?:PKG-INFO|requires\.txt|entry_points\.txt))?)"
)
_UNREADABLE = b"\0"
"""Stands for a source whose content is not in the package; no parser takes it."""


def is_conda(name: str) -> bool:
    """Tell whether a file's name is that of a conda package."""
    return name.endswith((".conda", ".tar.bz2"))


def package_of(entry: str) -> str:
    """Return the package that a match spec of conda is about; empty where it names none."""
    match = _NAME.match(entry)
    return match["name"].lower() if match else ""


def readable(
    paths: Mapping[str, Path], names: Mapping[str, str], folder: Path
) -> tuple[dict[str, Path], list[str]]:
    """Return files that :func:`envlock.audit.index.parallel.index_all` can read, by key.

    Wheels stay as they are; what counts of a conda package is written below ``folder``.
    names: of the files, where their paths do not have them.  Also returns notes on packages
    that are malformed or hostile.  Raises DiskError.
    """
    found: dict[str, Path] = {}
    notes: list[str] = []
    for key, path in paths.items():
        name = names.get(key, path.name)
        if not is_conda(name):
            found[key] = path
            continue
        place = folder / f"{len(found)}-{key[:16]}" / name
        try:
            with disk_errors(place):
                place.parent.mkdir(parents=True, exist_ok=True)
            extract(path, name, place)
        except (SkippedError, OSError) as error:
            notes.append(f"{name}: {error}")
            continue
        found[key] = place
    return found, notes


def extract(path: Path, name: str, place: Path) -> None:
    """Write what the audit reads of a package to a zip; raises SkippedError, DiskError."""
    try:
        with (
            path.open("rb") as file,
            open_conda(file, name, place.parent) as archive,
            disk_errors(place),
            zipfile.ZipFile(place, "w") as out,
        ):
            about = _about(archive)
            out.writestr(_ABOUT, json.dumps(about))
            total = 0
            for count, (inside, data) in enumerate(_wanted(archive, about)):
                total += len(data)
                if total > TOTAL_LIMIT or count > MEMBERS_LIMIT:
                    raise SkippedError("more files or bytes of sources than are read")
                out.writestr(inside, data)
    except ArtifactError as error:
        raise SkippedError(error.message) from None


def _about(archive: CondaArchive) -> dict[str, Any]:
    """Return what the package says of itself; raises ArtifactError."""
    try:
        index = json.loads(archive.text("index.json") or "")
        name, version = str(index["name"]), str(index["version"])
        depends = [str(entry) for entry in index.get("depends") or ()]
        noarch = index.get("noarch")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ArtifactError("info/index.json does not tell which package this is") from None
    linking = read_linking(archive, noarch)
    return {
        "name": name,
        "version": version,
        "depends": sorted({package for entry in depends if (package := package_of(entry))}),
        "noarch": linking.noarch,
        "entry_points": list(linking.entry_points),
    }


def _wanted(archive: CondaArchive, about: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the files below site-packages that count, each with its bytes as far as wanted."""
    if about["name"] in PYTHONS:
        return
    site = _NOARCH_SITE if about["noarch"] else _SITE
    for path in sorted({item.path for item in read_paths(archive) if item.kind != "directory"}):
        match = site.match(path)
        inside = path[match.end() :] if match else ""
        if not inside or inside == _ABOUT:
            continue
        if inside.endswith((".so", ".pyi")) and not inside.endswith("/__init__.pyi"):
            yield inside, b""
        elif inside.endswith((".py", ".pyi")) or ("/" not in inside and inside.endswith(".pth")):
            yield inside, _content(archive, path, SOURCE_LIMIT)
        elif _METADATA.fullmatch(inside):
            yield inside, _content(archive, path, METADATA_LIMIT)


def _content(archive: CondaArchive, path: str, limit: int) -> bytes:
    """Return a file's bytes, one more than ``limit`` at most."""
    member, name = archive.members.get(path), path
    for _ in range(8):
        if member is None or member.kind not in {"symlink", "hardlink"}:
            break
        name = _target(member, name)
        member = archive.members.get(name)
    if member is None or member.kind != "file":
        return _UNREADABLE
    content = member.content
    if content.size <= limit:
        return content.read()
    return b"".join(_first(content, limit + 1))


def _first(content: Any, size: int) -> Iterator[bytes]:
    for piece in content.pieces():
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return


def _target(member: Member, path: str) -> str:
    """Return what a link leads to, relative to the package."""
    if member.kind == "hardlink":
        return member.linkname.removeprefix("./")
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))


def assemble_package(
    archive: Archive, kinds: Mapping[str, str], notes: Sequence[str]
) -> WheelIndex:
    """Return a package's index without its modules, of which ``kinds`` has the names."""
    about = json.loads(archive.read(_ABOUT, METADATA_LIMIT))
    found = [_distribution(archive, name, kinds) for name in sorted(_metadata_in(archive))]
    told = {_plain(point) for one in found for point in one.entry_points}
    points = [f"0 console_scripts: {point}" for point in about["entry_points"]]
    return replace(
        assemble(archive, kinds, notes),
        name=about["name"],
        version=about["version"],
        requires=(),
        extras=(),
        entry_points=tuple(point for point in points if _plain(point) not in told),
        package=about["name"],
        depends=tuple(about["depends"]),
        distributions=tuple(one for one in found if one.name),
    )


def _plain(point: str) -> str:
    """Return an entry point without its line and spaces, which may be told in two places."""
    return "".join(point.partition(" ")[2].split())


def _metadata_in(archive: Archive) -> list[str]:
    return [
        name
        for name in archive.names()
        if re.fullmatch(r"[^/]+(?:\.dist-info/METADATA|\.egg-info(?:/PKG-INFO)?)", name)
    ]


def _distribution(archive: Archive, file: str, kinds: Mapping[str, str]) -> Distribution:
    said = metadata_of(_text(archive, file))
    folder = file.rpartition("/")[0]
    requires = list(said["requires"])
    modules: tuple[str, ...] = ()
    if file.endswith("/PKG-INFO"):
        requires += _egg_requires(_text(archive, f"{folder}/requires.txt"))
    elif folder:
        modules = _recorded(_text(archive, f"{folder}/RECORD"), kinds)
    return Distribution(
        name=said["name"],
        version=said["version"],
        requires=tuple(requires),
        extras=tuple(said["extras"]),
        modules=modules,
        entry_points=entry_points_of(_text(archive, f"{folder}/entry_points.txt")),
    )


def _recorded(text: str, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """Return the modules of which a RECORD lists the file."""
    found = set()
    with contextlib.suppress(csv.Error):
        for row in csv.reader(io.StringIO(text, newline="")):
            made = module_of(posixpath.normpath(row[0])) if row else None
            if made is not None and made[0] in kinds:
                found.add(made[0])
    return tuple(sorted(found))


def _egg_requires(text: str) -> list[str]:
    """Return the lines of an egg's ``requires.txt``, whose sections are ``[extra:marker]``."""
    found, marker = [], ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            extra, _, condition = line[1:-1].partition(":")
            parts = [f"({condition})"] if condition else []
            parts += [f'extra == "{extra}"'] if extra else []
            marker = " and ".join(parts)
        elif line:
            found.append(f"{line} ; {marker}" if marker else line)
    return found


def _text(archive: Archive, name: str) -> str:
    try:
        return archive.read(name, METADATA_LIMIT).decode("utf-8", "replace")
    except (SkippedError, KeyError):
        return ""
