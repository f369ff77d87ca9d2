"""Locks made in code."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

from envlock.lock.base import BaseBlob, BaseImage
from envlock.lock.model import (
    Artifact,
    BuiltImage,
    CondaRecord,
    DebianIndex,
    DebianSection,
    Lock,
    LockedExclude,
    LockedOverride,
    MaintainerScript,
    VoidedRequirement,
)


def wheel(name: str, version: str = "1.0", **changes: Any) -> Artifact:
    file = f"{name}-{version}-py3-none-any.whl"
    artifact = Artifact(
        kind="pypi",
        name=name,
        version=version,
        source="pypi",
        file=file,
        path=f"aa/bb/{file}",
        sha256=sha256(file.encode()).hexdigest(),
        size=1000 + len(file),
        depends=(),
    )
    return replace(artifact, **changes)


def deb(name: str, version: str = "1.0-1") -> Artifact:
    file = f"{name}_{version}_amd64.deb"
    return Artifact(
        kind="debian",
        name=name,
        version=version,
        source="debian",
        file=file,
        path=f"pool/main/{name[0]}/{name}/{file}",
        sha256=sha256(file.encode()).hexdigest(),
        size=5000,
        depends=("libc6 (>= 2.36)",),
    )


def conda(name: str, version: str = "1.0", *, build: str = "h0_0", **record: Any) -> Artifact:
    """Return a conda package; ``record`` changes what only conda packages have."""
    found = CondaRecord(build=build, build_number=0, subdir=record.pop("subdir", "linux-64"))
    file = f"{name}-{version}-{build}.conda"
    return Artifact(
        kind="conda",
        name=name,
        version=version,
        source="conda-forge",
        file=file,
        path=f"{found.subdir}/{file}",
        sha256=sha256(file.encode()).hexdigest(),
        size=3000,
        depends=("__glibc >=2.17", "python >=3.11,<3.12.0a0"),
        conda=replace(found, **record),
    )


VOID = VoidedRequirement(dependent="torch", version="2.6.0", requirement="triton==3.2.0")
SPEC: dict[str, Any] = {
    "projection": 1,
    "name": "a",
    "python": "3.11",
    "platform": {"name": "linux-64", "glibc": "2.36"},
    "pypi": {"dependencies": ["torch>=2.6"]},
}
LOCK = Lock(
    name="a",
    platform="linux-64",
    spec=SPEC,
    artifacts=(
        deb("gcc"),
        deb("libc6"),
        wheel("numpy"),
        wheel("torch", "2.6.0", depends=("triton==3.2.0",)),
        wheel("triton", "2.3.1", source="extra"),
    ),
    debian=DebianSection(
        suite="bookworm",
        architecture="amd64",
        indexes=(
            DebianIndex(
                archive="debian", suite="bookworm", date="20250520T120000Z", sha256="0" * 64
            ),
        ),
        scripts=(
            MaintainerScript(
                package="gcc", script="postinst", handled=("a link",), unhandled=("it calls x",)
            ),
        ),
    ),
    overrides=(LockedOverride(package="triton", version="2.3.1", voids=(VOID,)),),
    excludes=(LockedExclude(package="nvidia-nccl", voids=()),),
    built=BuiltImage(manifest=f"sha256:{'1' * 64}", config=f"sha256:{'2' * 64}"),
)
BELOW = BaseImage(
    reference="registry.example.com/team/base:v1",
    index=f"sha256:{'4' * 64}",
    manifest=f"sha256:{'4' * 64}",
    config=BaseBlob(digest=f"sha256:{'3' * 64}", size=1),
    layers=(),
    os="debian 12",
    glibc="2.36",
)
