"""What a conda package says of its files (CEP 34: ``paths.json``, ``link.json``, ``index.json``).

Packages of before 2017 have ``files`` and ``has_prefix`` instead of ``paths.json``.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from envlock.errors import ArtifactError
from envlock.layers.entry import check_path
from envlock.layers.scheme import normalized

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.layers.condaarchive import CondaArchive

PathType = Literal["hardlink", "softlink", "directory"]

OLD_PLACEHOLDER = "/opt/anaconda1" + "anaconda2" + "anaconda3"
"""Of lines of ``has_prefix`` that name none; in parts, so that no installer replaces it."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCRIPT = re.compile(r"(?:.*/)?\.(?P<package>.+)-(?P<moment>pre-link|post-link|pre-unlink)\.sh")
_DISTRIBUTION = re.compile(
    r"(?:lib/python3\.[0-9]+t?/)?site-packages/"
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)-(?P<version>[0-9][^-/]*)"
    r"(?:\.dist-info/METADATA|(?:-py3[0-9.]*)?\.egg-info(?:/PKG-INFO)?)"
)
_ENTRY_POINT = re.compile(
    r"(?P<name>[A-Za-z0-9_.][A-Za-z0-9_.+-]*)\s*=\s*(?P<module>[\w.]+)\s*:\s*(?P<object>[\w.]+)"
)
_KEYS = ("_path", "path_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePath:
    """One path of a package.

    path: relative to the prefix, of a noarch Python package partly to its own folders; sha256
    and size in bytes: of the file as it lies in the package, None where it does not tell;
    placeholder: what stands for the prefix in it, None in a file without one.
    """

    path: str
    kind: PathType
    sha256: str | None = None
    size: int | None = None
    placeholder: str | None = None
    binary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Linking:
    """How a package is installed; noarch: it is a Python package for every platform."""

    noarch: bool
    entry_points: tuple[str, ...] = ()


def link_scripts(package: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Return which of a package's ``paths`` conda would run when it links or unlinks it.

    ``post-link``, ``pre-unlink`` and the obsolete ``pre-link``; envlock runs none of them.
    """
    return tuple(
        path
        for path in sorted(paths)
        if (match := _SCRIPT.fullmatch(path))
        and match["package"] == package
        and path.rpartition("/")[0] in {"bin", ""}
    )


def distributions(paths: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return (normalized name, version, path of the metadata) of the distributions in ``paths``.

    Those of ``*.dist-info`` (PEP 376, PEP 503) and of the ``*.egg-info`` before it.
    """
    matches = ((_DISTRIBUTION.fullmatch(path), path) for path in paths)
    return [(normalized(m["name"]), m["version"], path) for m, path in matches if m is not None]


def provided(paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return (normalized name, version) of the distributions in ``paths``, each once."""
    names: dict[str, str] = {}
    for name, version, _ in sorted(distributions(paths)):
        names.setdefault(name, version)
    return tuple(sorted(names.items()))


def entry_point(text: str) -> re.Match[str]:
    """Return name, module and object of an entry point (CEP 34); raises ArtifactError."""
    match = _ENTRY_POINT.fullmatch(text.strip())
    if match is None:
        raise ArtifactError(f"info/link.json: the entry point {text!r} is malformed")
    return match


def installed_path(path: str, *, noarch: bool, site: str) -> str:
    """Return where a path of a package goes, below the prefix; site: of its Python, below it.

    noarch: whether it is a noarch Python package, some of whose folders stand for others.
    """
    for folder, place in (("site-packages", site), ("python-scripts", "bin")) if noarch else ():
        if path.startswith(f"{folder}/"):
            return f"{place}/{path.removeprefix(f'{folder}/')}"
    return path


def read_paths(archive: CondaArchive) -> tuple[PackagePath, ...]:
    """Return the package's paths in its own order; raises ArtifactError."""
    text = archive.text("paths.json")
    if text is None:
        return _old_paths(archive)
    value = _json(archive, "paths.json", text)
    if value.get("paths_version") != 1 or not isinstance(value.get("paths"), list):
        raise ArtifactError(
            f"info/paths.json has version {value.get('paths_version')!r}; envlock knows 1",
            where=archive.name,
        )
    return tuple(_path(archive, number, item) for number, item in enumerate(value["paths"]))


def read_linking(archive: CondaArchive, noarch: str | None) -> Linking:
    """Return how the package is installed; noarch: what its channel says of it."""
    if noarch != "python":
        return Linking(noarch=False)
    text = archive.text("link.json")
    value = _json(archive, "link.json", text) if text is not None else {}
    section = value.get("noarch") or {}
    points = section.get("entry_points") or [] if isinstance(section, dict) else None
    if not isinstance(points, list) or not all(isinstance(point, str) for point in points):
        raise ArtifactError("info/link.json cannot be understood", where=archive.name)
    return Linking(noarch=True, entry_points=tuple(points))


def _json(archive: CondaArchive, name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"info/{name} is not JSON ({error})", where=archive.name) from None
    if not isinstance(value, dict):
        raise ArtifactError(f"info/{name} is not a mapping", where=archive.name)
    return value


def _path(archive: CondaArchive, number: int, item: Any) -> PackagePath:
    where = f"info/paths.json: paths[{number}]"
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in _KEYS):
        raise ArtifactError(f"{where} has no _path and path_type", where=archive.name)
    path, kind = check_path(item["_path"]), item["path_type"]
    sha256, size = item.get("sha256"), item.get("size_in_bytes")
    mode, placeholder = item.get("file_mode"), item.get("prefix_placeholder")
    wrong = (
        (kind not in {"hardlink", "softlink", "directory"} and f"the path_type {kind!r}")
        or (not _sha256(sha256) and f"the sha256 {sha256!r}")
        or (not _size(size) and f"the size {size!r}")
        or (not _placeholder(placeholder, mode) and f"the placeholder {placeholder!r}, {mode!r}")
    )
    if wrong:
        raise ArtifactError(f"{where} ({path}) has {wrong}", where=archive.name)
    return PackagePath(
        path=path,
        kind=kind,
        sha256=sha256,
        size=size,
        placeholder=placeholder or None,
        binary=mode == "binary",
    )


def _sha256(value: object) -> bool:
    return value is None or (isinstance(value, str) and bool(_SHA256.fullmatch(value)))


def _size(value: object) -> bool:
    return value is None or (isinstance(value, int) and value >= 0)


def _placeholder(value: object, mode: object) -> bool:
    """Tell whether a placeholder is one: a short one would replace what is no prefix."""
    if not value:
        return True
    ok = (
        isinstance(value, str) and value.startswith("/") and len(value) >= 5 and value.isprintable()
    )
    return ok and mode in {"text", "binary"}


def _old_paths(archive: CondaArchive) -> tuple[PackagePath, ...]:
    listed = archive.text("files")
    if listed is None:
        raise ArtifactError(
            "the package has neither info/paths.json nor info/files", where=archive.name
        )
    prefixes = dict(_has_prefix(archive))
    found = []
    for line in listed.splitlines():
        path = check_path(line.strip())
        member = archive.members.get(path)
        placeholder, mode = prefixes.get(path, (None, "text"))
        if not _placeholder(placeholder, mode):
            raise ArtifactError(f"info/has_prefix: {path} has {placeholder!r}", where=archive.name)
        found.append(
            PackagePath(
                path=path,
                kind="softlink" if member is not None and member.kind == "symlink" else "hardlink",
                placeholder=placeholder,
                binary=mode == "binary",
            )
        )
    return tuple(found)


def _has_prefix(archive: CondaArchive) -> list[tuple[str, tuple[str, str]]]:
    """Return path, placeholder and mode of each line of ``has_prefix``."""
    found = []
    for line in (archive.text("has_prefix") or "").splitlines():
        try:
            words = [word.strip("\"'") for word in shlex.split(line, posix=False)]
        except ValueError:
            words = []
        if len(words) == 3:
            found.append((words[2], (words[0], words[1])))
        elif len(words) == 1:
            found.append((words[0], (OLD_PLACEHOLDER, "text")))
        elif words:
            raise ArtifactError(f"info/has_prefix: {line!r} is no line of it", where=archive.name)
    return found
