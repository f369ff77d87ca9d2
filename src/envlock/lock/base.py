"""The base image of a lock: what another image's registry had when the lock was made.

Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from envlock.lock.values import mapping, matching, text, whole

PLAIN = "application/vnd.oci.image.layer.v1.tar"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")
_PROGRAM = re.compile(r"(/[A-Za-z0-9._+-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseBlob:
    """A blob of a base image: its ``sha256:`` digest and size in bytes."""

    digest: str
    size: int

    @property
    def sha256(self) -> str:
        return self.digest.removeprefix("sha256:")

    @property
    def file(self) -> str:
        """What messages call it."""
        return f"{self.digest} of the base image"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLayer(BaseBlob):
    """A layer; media_type is OCI's, also where the registry has it under Docker's name for it."""

    diff_id: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """One platform's image below the environment's own layers, lowest layer first.

    reference: as the spec names it, with its registry; index: the digest that the reference
    named; manifest: this platform's, the same where there is but one.  What its files say:
    os: ``debian 12``; glibc and cuda: ``major.minor``, cuda None where there is none;
    python: the interpreter of the spec's version on its PATH, None where there is none.
    """

    reference: str
    index: str
    manifest: str
    config: BaseBlob
    layers: tuple[BaseLayer, ...]
    os: str
    glibc: str
    cuda: str | None = None
    python: str | None = None

    @property
    def blobs(self) -> tuple[BaseBlob, ...]:
        """All that a build needs of the image, no blob twice."""
        return tuple({blob.digest: blob for blob in (self.config, *self.layers)}.values())

    @property
    def size(self) -> int:
        """Bytes of all layers as they are stored."""
        return sum(layer.size for layer in self.layers)


def plain_base(base: BaseImage) -> dict[str, Any]:
    """Return the section as the lock file has it."""
    return {key: value for key, value in asdict(base).items() if value is not None}


def parse_base(value: dict[str, Any]) -> BaseImage:
    """Read the section; raises KeyError, TypeError, ValueError."""
    config = mapping(value["config"])
    return BaseImage(
        reference=text(value["reference"]),
        index=matching(_DIGEST, value["index"]),
        manifest=matching(_DIGEST, value["manifest"]),
        config=BaseBlob(digest=matching(_DIGEST, config["digest"]), size=whole(config["size"])),
        layers=tuple(map(_layer, map(mapping, value["layers"]))),
        os=text(value["os"]),
        glibc=matching(_VERSION, value["glibc"]),
        cuda=matching(_VERSION, value["cuda"]) if "cuda" in value else None,
        python=matching(_PROGRAM, value["python"]) if "python" in value else None,
    )


def _layer(value: dict[str, Any]) -> BaseLayer:
    if value["media_type"] not in {PLAIN, GZIP, ZSTD}:
        raise ValueError(f"{value['media_type']!r} is no type of a base image's layer")
    return BaseLayer(
        digest=matching(_DIGEST, value["digest"]),
        size=whole(value["size"]),
        diff_id=matching(_DIGEST, value["diff_id"]),
        media_type=value["media_type"],
    )
