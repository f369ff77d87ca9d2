"""Base images in a registry in memory: small root file systems that look like a system."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..validate.images import link, member, tar_of

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Sequence

    from .registry import Registry

    Members = Sequence[tuple[tarfile.TarInfo, bytes]]

OCI = "application/vnd.oci.image"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
LIBC = "GNU C Library (Debian GLIBC {0}-9) stable release version {0}.\n"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def system(
    *more: tuple[tarfile.TarInfo, bytes], glibc: str = "2.36", python: str | None = "3.11"
) -> Members:
    """Return a system of merged directories; ``more`` entries come last."""
    found = [
        member("usr"),
        member("usr/bin"),
        member("usr/lib"),
        link("lib", "usr/lib"),
        link("bin", "usr/bin"),
        member("usr/lib/x86_64-linux-gnu"),
        member("usr/lib/x86_64-linux-gnu/libc.so.6", LIBC.format(glibc)),
        member("usr/lib/os-release", 'PRETTY_NAME="A base"\nID=debian\nVERSION_ID="12"\n'),
        member("etc"),
        link("etc/os-release", "../usr/lib/os-release"),
        member("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/app:/bin/sh\n"),
        member("opt"),
    ]
    if python is not None:
        found.append(member(f"usr/bin/python{python}", "#!/bin/sh\n", mode=0o755))
    return [*found, *more]


def _gzip(tar: bytes) -> bytes:
    return gzip.compress(tar, 1, mtime=0)


@dataclass(slots=True)
class Base:
    """An image to be pushed: its layers' members, lowest first, and what its config says."""

    layers: list[Members] = field(default_factory=lambda: [system()])
    settings: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    docker: bool = False
    architecture: str = "amd64"
    layer_type: str | None = None
    compress: Callable[[bytes], bytes] = _gzip
    config_size: int | None = None

    def push(self, registry: Registry, name: str, *tags: str) -> str:
        """Put it into the registry and return its manifest's digest."""
        store = registry.repository(name)
        kind = DOCKER_LAYER if self.docker else f"{OCI}.layer.v1.tar+gzip"
        tars = [tar_of(*members) for members in self.layers]
        blobs = [self.compress(tar) for tar in tars]
        config = {
            "architecture": self.architecture,
            "os": "linux",
            "config": self.settings,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
            "history": [{"created_by": f"base {n}"} for n in range(len(tars))],
            **self.config,
        }
        told = json.dumps(config).encode()
        for blob in (told, *blobs):
            store.blobs[digest_of(blob)] = blob
        media_type = DOCKER_MANIFEST if self.docker else f"{OCI}.manifest.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {
                "mediaType": DOCKER_CONFIG if self.docker else f"{OCI}.config.v1+json",
                "digest": digest_of(told),
                "size": self.config_size or len(told),
            },
            "layers": [
                {
                    "mediaType": self.layer_type or kind,
                    "digest": digest_of(blob),
                    "size": len(blob),
                }
                for blob in blobs
            ],
        }
        data = json.dumps(manifest).encode()
        for reference in (digest_of(data), *tags):
            store.manifests[reference] = (media_type, data)
        return digest_of(data)


def push_index(
    registry: Registry,
    repository: str,
    tag: str,
    platforms: dict[str, str],
    *,
    docker: bool = False,
) -> str:
    """Put an index of manifests by architecture[/variant] under a tag; return its digest."""
    store = registry.repository(repository)
    kind = DOCKER_LIST if docker else f"{OCI}.index.v1+json"
    entries = []
    for architecture, digest in platforms.items():
        media_type, data = store.manifests[digest]
        name, _, variant = architecture.partition("/")
        platform = {"os": "linux", "architecture": name}
        if name == "unknown":
            platform["os"] = name
        if variant:
            platform["variant"] = variant
        entries.append(
            {"mediaType": media_type, "digest": digest, "size": len(data), "platform": platform}
        )
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    store.manifests[tag] = store.manifests[digest_of(data)] = (kind, data)
    return digest_of(data)
