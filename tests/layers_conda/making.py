"""conda packages as lock entries and as installed files, for tests."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backports import zstd

from envlock.layers.conda import conda_entries
from envlock.layers.condaarchive import open_conda
from envlock.layers.condapaths import link_scripts, provided
from envlock.layers.scheme import Scheme
from envlock.lock.model import Artifact, CondaRecord

from ..makers.conda import PLACEHOLDER, Link, Prefixed, Program, distribution, make_conda

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


SCHEME = Scheme(prefix="opt/env", python="3.12")


def conda_artifact(path: Path, *, channel: str = "main", **more: object) -> Artifact:
    """Return the lock's entry for a package in a channel's folder."""
    data = path.read_bytes()
    info = _info(path, data)
    index, paths = json.loads(info["info/index.json"]), info["info/files"].decode().splitlines()
    inside = {"provides": provided(paths), "link_scripts": link_scripts(index["name"], paths)}
    return Artifact(
        kind="conda",
        name=index["name"],
        version=index["version"],
        source=channel,
        file=path.name,
        path=f"{path.parent.name}/{path.name}",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        depends=tuple(index["depends"]),
        conda=CondaRecord(
            build=index["build"],
            build_number=index["build_number"],
            subdir=index["subdir"],
            md5=hashlib.md5(data).hexdigest(),
            constrains=tuple(index["constrains"]),
            noarch=index.get("noarch"),
            license=index.get("license"),
            python_site_packages_path=index.get("python_site_packages_path"),
            **{**inside, **more},  # type: ignore[arg-type]
        ),
    )


def _info(path: Path, data: bytes) -> dict[str, bytes]:
    if path.suffix == ".conda":
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.startswith("info-"))
            data = zstd.decompress(archive.read(name))
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            found[member.name] = content.read() if content is not None else b""
    return found


@dataclass(frozen=True)
class Found:
    """An entry whose content was read."""

    kind: str
    mode: int
    data: bytes = b""
    target: str = ""


def entries(
    path: Path,
    scheme: Scheme = SCHEME,
    *,
    without: str | None = None,
    artifact: Artifact | None = None,
) -> dict[str, Found]:
    """Return what a package installs, by path."""
    artifact = artifact or conda_artifact(path)
    found: dict[str, Found] = {}
    with path.open("rb") as file, open_conda(file, artifact.file, path.parent) as archive:
        for entry in conda_entries(archive, artifact, scheme, without=without):
            assert entry.path not in found
            data = entry.content.read() if entry.content is not None else b""
            found[entry.path] = Found(entry.kind, entry.mode, data, entry.target)
    return found


def repacked(path: Path, change: Mapping[str, bytes | None]) -> Path:
    """Write a ``.conda`` anew with members of its zip replaced, or left out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, data in change.items():
        if data is None:
            del members[name]
        else:
            members[name] = data
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0)), data)
    return path


def raw_frame(data: bytes) -> bytes:
    """Return ``data`` as a zstd frame of raw blocks (RFC 8878, 3.1.1): no library's choice."""
    pieces = [data[at : at + 100_000] for at in range(0, len(data), 100_000)] or [b""]
    frame = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        frame += (len(piece) << 3 | last).to_bytes(3, "little") + piece
    return frame


def uncompressed(path: Path) -> Path:
    """Write a ``.conda`` anew so that its bytes do not depend on the installed zstd."""
    if path.suffix != ".conda":
        return path
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".zst")]
        return repacked(path, {n: raw_frame(zstd.decompress(archive.read(n))) for n in names})


def with_payload(path: Path, members: list[tarfile.TarInfo], data: Mapping[str, bytes]) -> Path:
    """Replace the files of a ``.conda`` by these members, whatever its info says."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member in members:
            content = data.get(member.name, b"")
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    stem = path.name.removesuffix(".conda")
    return repacked(path, {f"pkg-{stem}.tar.zst": zstd.compress(out.getvalue())})


def with_paths(path: Path, paths: list[dict[str, object]] | str) -> Path:
    """Replace ``info/paths.json`` of a ``.conda``."""
    files = _info(path, path.read_bytes())
    text = paths if isinstance(paths, str) else json.dumps({"paths_version": 1, "paths": paths})
    files["info/paths.json"] = text.encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    stem = path.name.removesuffix(".conda")
    return repacked(path, {f"info-{stem}.tar.zst": zstd.compress(out.getvalue())})


BINARY = (
    b"\x7fELF" + bytes(60) + PLACEHOLDER.encode() + b"/lib\0" + b"plain\0"
    + PLACEHOLDER.encode() + b"/a:" + PLACEHOLDER.encode() + b"/b\0tail" + PLACEHOLDER.encode()
)  # fmt: skip


MAIN = b"def main():\n    return 3\n"


def make_zoo(channel: Path) -> list[Path]:
    """Write packages that exercise every way of installing a file."""
    site = "lib/python3.12/site-packages"
    return [
        make_conda(
            channel, "python", "3.12.4", build="h1_0_cpython",
            files={
                "bin/python3.12": Program(b"#!/bin/sh\necho python\n"),
                "bin/python3": Link("python3.12"),
                "bin/python": Link("python3.12"),
                "lib/python3.12/os.py": b"import this\n",
                f"{site}/README.txt": b"",
            },
        ),
        make_conda(
            channel, "tools", "1.0", depends=["python 3.12.*"],
            files={
                "bin/tool": Prefixed(f"#!{PLACEHOLDER}/bin/python3.12 -u\nprint('{PLACEHOLDER}')\n",
                                     executable=True),
                "bin/prog": Prefixed(BINARY, binary=True, executable=True),
                "etc/tool.conf": Prefixed(f"home={PLACEHOLDER}\nlib={PLACEHOLDER}/lib\n"),
                "lib/libtool.so.1.0": b"\x7fELF" + bytes(3000),
                "lib/libtool.so": Link("libtool.so.1.0"),
                "lib/data": Link("../share/tool/größe"),
                "share/tool/größe/x": b"x",
                "etc/conda/env_vars.d/tools.json": b'{"TOOL_MODE": "fast"}',
                "etc/conda/activate.d/tools.sh": b"# set\nexport TOOL_HOME=$CONDA_PREFIX/share\n",
                "etc/conda/activate.d/more.sh": b'if [ -n "$X" ]; then export Y=1; fi\n',
                "bin/.tools-post-link.sh": Program(b"#!/bin/sh\necho linked > $PREFIX/linked\n"),
            },
        ),
        make_conda(
            channel, "pure", "2.5", noarch="python", build="py_0", depends=["python"],
            files={
                **distribution("pure", "2.5", files={"pure/__init__.py": MAIN}),
                "python-scripts/pure-old": Program(b"#!/usr/bin/env python\nprint('old')\n"),
                "share/pure/doc.txt": b"doc",
            },
            entry_points=["pure = pure:main", "pure-sub=pure.cli:App.run"],
        ),
        make_conda(
            channel, "old", "0.9", suffix=".tar.bz2", build="0", license="BSD-3-Clause",
            files={"bin/old": Program(b"#!/bin/sh\n"), "lib/old.txt": b"old\n"},
        ),
        make_conda(channel, "meta", "1", noarch="generic", build="0", files={}),
    ]  # fmt: skip


__all__ = [
    "BINARY", "PLACEHOLDER", "SCHEME", "Found", "Link", "Prefixed", "Program", "conda_artifact",
    "entries", "make_conda", "make_zoo", "repacked", "with_paths", "with_payload",
]  # fmt: skip
