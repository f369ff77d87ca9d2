"""Tiny OCI layouts and root file systems, made by code."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from envlock import progress
from envlock.lock.model import Artifact, Lock, LockedOverride

SILENT: Any = progress.SILENT
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN = "application/vnd.oci.image.layer.v1.tar"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/home/nonroot:/bin/false\n"
GROUP = "root:x:0:\nnonroot:x:65532:\n"
_OF_DEBIAN = "deb_system" in sysconfig.get_scheme_names()
SITE = (
    f"usr/local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/dist-packages"
    if _OF_DEBIAN
    else f"usr/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
)
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def member(
    name: str, data: bytes | str | None = None, **fields: Any
) -> tuple[tarfile.TarInfo, bytes]:
    """Return a tar member: a file with ``data``, a directory without, or what ``fields`` say."""
    content = data.encode() if isinstance(data, str) else data or b""
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
    info.mode = 0o755 if data is None else 0o644
    info.mtime = 315532800
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, "", type=tarfile.SYMTYPE, linkname=target, mode=0o777)


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, "", type=tarfile.LNKTYPE, linkname=target)


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def members_of_gzip(data: bytes, size: int = 700) -> bytes:
    """Compress to many gzip members."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(gzip.compress(piece, 1, mtime=0) for piece in pieces)


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Layout:
    """An OCI layout under construction."""

    root: Path
    config: dict[str, Any] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    diff_ids: list[str] = field(default_factory=list)

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        digest = sha256(data)
        place = self.root / "blobs" / digest.replace(":", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def layer(self, *members: tuple[tarfile.TarInfo, bytes], plain: bool = False) -> Layout:
        return self.raw_layer(tar_of(*members), plain=plain)

    def raw_layer(self, tar: bytes, *, plain: bool = False) -> Layout:
        data = (
            tar if plain else members_of_gzip(tar) if len(tar) < 1 << 20 else gzip.compress(tar, 1)
        )
        self.layers.append(self.blob(data, PLAIN if plain else GZIP))
        self.diff_ids.append(sha256(tar))
        return self

    def write(self, architecture: str = "amd64") -> Path:
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
        }
        manifest = {
            "schemaVersion": 2,
            "config": self.blob(
                json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"
            ),
            "layers": self.layers,
        }
        described = self.blob(
            json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json"
        )
        described["platform"] = {"architecture": architecture, "os": "linux"}
        index = {"schemaVersion": 2, "manifests": [described]}
        (self.root / "index.json").write_text(json.dumps(index))
        (self.root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return self.root


def dist(name: str, version: str, *requires: str) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Return an installed distribution with one module of the same name."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {text}\n" for text in requires)
    return [
        member(f"{SITE}/{name}-{version}.dist-info/METADATA", metadata),
        member(f"{SITE}/{name}.py", f"__version__ = '{version}'\n"),
    ]


@cache
def python_layer() -> bytes:
    """Return a tar with this machine's CPython, its standard library and its C libraries."""
    binary = Path(sys.base_prefix, "bin", f"python{PYTHON}").resolve()
    stdlib = Path(sys.base_prefix, "lib", f"python{PYTHON}")
    members = [
        member(name)
        for name in ("usr", "usr/bin", "usr/lib", f"usr/lib/python{PYTHON}", SITE, "etc", "home")
    ]
    members += [member("home/nonroot", mode=0o700), member("app"), member("root", mode=0o700)]
    members += [member("etc/passwd", PASSWD), member("etc/group", GROUP)]
    members.append(member(f"usr/bin/python{PYTHON}", binary.read_bytes(), mode=0o755))
    members.append(link("usr/bin/python3", f"python{PYTHON}"))
    skipped = {"test", "site-packages", "__pycache__", "idlelib", "lib2to3", "tkinter", "ensurepip"}
    for path in sorted(stdlib.rglob("*")):
        inside = path.relative_to(stdlib)
        wanted = not skipped & set(inside.parts) and not inside.parts[0].startswith("config-")
        if wanted and path.is_file() and path.suffix != ".a":
            members.append(member(f"usr/lib/python{PYTHON}/{inside}", path.read_bytes()))
    for place, library in _libraries(binary, *stdlib.glob("lib-dynload/*.so")).items():
        members.append(member(place, library.read_bytes(), mode=0o755))
    return tar_of(*members)


def _libraries(*binaries: Path) -> dict[str, Path]:
    """Return path in the image to shared library, all of them where the loader looks."""
    listed = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=True).stdout
    found = [Path(path) for path in re.findall(r"(?:=> |^\s*)(/\S+) \(", listed, re.MULTILINE)]
    folder = next(path.parent for path in found if path.name.startswith("libc."))
    places = {}
    for path in found:
        place = path if path.name.startswith("ld-") else folder / path.name
        places[str(place).lstrip("/")] = path.resolve()
    return places


def lock_of(
    *packages: tuple[str, str],
    spec: dict[str, Any] | None = None,
    overrides: tuple[LockedOverride, ...] = (),
) -> Lock:
    return Lock(
        name="example",
        platform="linux-64",
        spec={"python": PYTHON, **(spec or {})},
        artifacts=tuple(
            Artifact(
                kind="pypi",
                name=name,
                version=version,
                source="pypi",
                file=f"{name}-{version}-py3-none-any.whl",
                path="",
                sha256="0" * 64,
                size=1,
            )
            for name, version in packages
        ),
        overrides=overrides,
    )
