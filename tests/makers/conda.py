"""Conda packages and channels made in code (CEP 20, CEP 26: ``.conda`` and ``.tar.bz2``)."""

from __future__ import annotations

import asyncio
import bz2
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from .wheels import metadata_text, record_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PLACEHOLDER = "/home/builder/placehold_" + "placehold_" * 22 + "x"
"""What stands for the prefix in packages made here; long, as binaries need it."""

MOMENT = 1_735_689_600_000
"""2025-01-01 in milliseconds, the ``timestamp`` of packages made here."""


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class Prefixed:
    """A file with a placeholder in it; binary: it is replaced in place, keeping lengths."""

    content: bytes | str
    binary: bool = False
    executable: bool = False
    placeholder: str = PLACEHOLDER


@dataclass(frozen=True, slots=True)
class Program:
    """An executable file without a placeholder."""

    content: bytes | str


Content = bytes | str | Link | Prefixed | Program


def make_conda(
    channel: Path,
    name: str,
    version: str,
    *,
    build: str = "h0_0",
    build_number: int = 0,
    subdir: str | None = None,
    depends: Sequence[str] = (),
    constrains: Sequence[str] = (),
    files: Mapping[str, Content] | None = None,
    noarch: str | None = None,
    entry_points: Sequence[str] = (),
    timestamp: int | None = MOMENT,
    suffix: str = ".conda",
    info: Mapping[str, bytes | str] | None = None,
    **index: Any,
) -> Path:
    """Write a package into a channel's folder and return its path.

    subdir: by default ``noarch`` with ``noarch``, else ``linux-64``; files: path below the
    prefix (for ``noarch="python"`` below ``site-packages/``) -> content; entry_points: of a
    noarch Python package, ``"tool = tool.cli:main"``; info: more files below ``info/``;
    index: more keys of ``info/index.json``.  The same arguments give the same bytes.
    """
    subdir = subdir or ("noarch" if noarch else "linux-64")
    about: dict[str, Any] = {
        "arch": None if subdir == "noarch" else subdir.partition("-")[2],
        "build": build,
        "build_number": build_number,
        "constrains": list(constrains),
        "depends": list(depends),
        "name": name,
        "noarch": noarch,
        "platform": None if subdir == "noarch" else subdir.partition("-")[0],
        "subdir": subdir,
        "timestamp": timestamp,
        "version": version,
        **index,
    }
    members = dict(files or {})
    described: dict[str, bytes | str] = {
        "info/index.json": _json({key: item for key, item in about.items() if item is not None}),
        "info/paths.json": _json(
            {"paths": [_path(path, members[path]) for path in sorted(members)], "paths_version": 1}
        ),
        "info/files": "".join(f"{path}\n" for path in sorted(members)),
        "info/about.json": _json({"summary": f"{name}, made in a test"}),
    }
    if noarch == "python":
        link = {"entry_points": list(entry_points), "type": "python"}
        described["info/link.json"] = _json({"noarch": link, "package_metadata_version": 1})
    described |= {f"info/{path}": content for path, content in (info or {}).items()}
    place = channel / subdir / f"{name}-{version}-{build}{suffix}"
    place.parent.mkdir(parents=True, exist_ok=True)
    (channel / "noarch").mkdir(exist_ok=True)
    place.write_bytes(_archive(place.name.removesuffix(suffix), suffix, described, members))
    return place


def distribution(
    name: str,
    version: str,
    *,
    files: Mapping[str, bytes | str] | None = None,
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
    site: str = "site-packages",
    installer: str = "conda",
) -> dict[str, Content]:
    """Return the files of a PyPI distribution as conda packages carry it.

    site: where site-packages are in the package: ``lib/python3.12/site-packages`` if it is
    not a noarch one; files: path below site-packages -> content.
    """
    plain = name.replace("-", "_").replace(".", "_")
    folder = f"{plain}-{version}.dist-info"
    inside: dict[str, bytes] = {
        path: content.encode() if isinstance(content, str) else content
        for path, content in (files or {f"{plain}/__init__.py": ""}).items()
    }
    inside[f"{folder}/METADATA"] = metadata_text(name, version, requires, None, extras).encode()
    inside[f"{folder}/INSTALLER"] = f"{installer}\n".encode()
    inside[f"{folder}/RECORD"] = record_text(inside, f"{folder}/RECORD").encode()
    return {f"{site}/{path}": content for path, content in inside.items()}


def index_channel(channel: Path) -> str:
    """Write the channel's repodata anew, as a real indexer does, and return its file URL."""
    from rattler import index

    (channel / "noarch").mkdir(parents=True, exist_ok=True)
    asyncio.run(index.index_fs(channel, force=True))
    return channel.as_uri()


def _path(path: str, content: Content) -> dict[str, Any]:
    if isinstance(content, Link):
        return {"_path": path, "path_type": "softlink", "sha256": sha256(b"").hexdigest()}
    data = _bytes(content)
    entry: dict[str, Any] = {
        "_path": path,
        "path_type": "hardlink",
        "sha256": sha256(data).hexdigest(),
        "size_in_bytes": len(data),
    }
    if isinstance(content, Prefixed):
        entry["file_mode"] = "binary" if content.binary else "text"
        entry["prefix_placeholder"] = content.placeholder
    return entry


def _bytes(content: Content) -> bytes:
    inner = content.content if isinstance(content, Prefixed | Program) else content
    if isinstance(inner, Link):
        return b""
    return inner.encode() if isinstance(inner, str) else inner


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True)


def _archive(
    stem: str, suffix: str, described: Mapping[str, bytes | str], members: Mapping[str, Content]
) -> bytes:
    if suffix == ".tar.bz2":
        return bz2.compress(_tar({**described, **members}))
    if suffix != ".conda":
        raise ValueError(f"{suffix!r} is no conda package")
    from backports import zstd

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for file, data in (
            ("metadata.json", b'{"conda_pkg_format_version": 2}'),
            (f"pkg-{stem}.tar.zst", zstd.compress(_tar(members))),
            (f"info-{stem}.tar.zst", zstd.compress(_tar(described))),
        ):
            archive.writestr(zipfile.ZipInfo(file, (2025, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def _tar(members: Mapping[str, Content]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in sorted(members.items()):
            entry = tarfile.TarInfo(path)
            entry.mtime = MOMENT // 1000
            if isinstance(content, Link):
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, content.target, 0o777
                archive.addfile(entry)
                continue
            data = _bytes(content)
            program = isinstance(content, Program) or getattr(content, "executable", False)
            entry.size, entry.mode = len(data), 0o755 if program else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()
