"""A base image below the environment's layers: its blobs, its configuration, its history.

The layers keep their bytes and digests; where the registry has them under Docker's media types
they get OCI's, which say the same of the same bytes.  Standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError, LockError
from envlock.files import verify_file
from envlock.image.places import is_whole, place, take_over

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from envlock.image.layout import Staging
    from envlock.lock.base import BaseBlob, BaseImage, BaseLayer

KEPT = ("ExposedPorts", "Healthcheck", "Shell", "StopSignal", "Volumes")
"""Of the base's settings, what we have no word in (OCI config.md, and two of Docker's own)."""

LARGEST_CONFIG = 4 << 20

_NO_LINES: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What an image is built upon: nothing, or a base image.

    settings: the ``config`` of its configuration; history: its lines, of which those that are not
    ``empty_layer`` are as many as its layers; annotations: what the manifest says of it.
    """

    layers: tuple[BaseLayer, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = _NO_LINES
    variant: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the layers."""
        return sum(layer.size for layer in self.layers)

    @property
    def env(self) -> dict[str, str]:
        """The base's environment variables; a later one of a name wins."""
        pairs = (item.partition("=") for item in self.settings.get("Env") or ())
        return {name: value for name, _, value in pairs if name}


def read_foundation(base: BaseImage | None, paths: Mapping[str, Path]) -> Foundation:
    """Return what the configuration of a base image, a verified local file, says.

    Raises LockError where the file is not there, ArtifactError, IntegrityError.
    """
    if base is None:
        return Foundation()
    path = _file(base.config, paths)
    verify_file(path, base.config.sha256, base.config.size)
    document = parse_config(path.read_bytes(), base.config.digest)
    if document["rootfs"]["diff_ids"] != [layer.diff_id for layer in base.layers]:
        raise ArtifactError(
            "the layers of the base image are not those that its configuration names",
            where=base.reference,
            hint="solve again",
        )
    variant = document.get("variant")
    return Foundation(
        layers=base.layers,
        settings=document["config"],
        history=_history(document.get("history"), len(base.layers)),
        variant=variant if isinstance(variant, str) and variant else None,
        annotations={
            "org.opencontainers.image.base.digest": base.manifest,
            "org.opencontainers.image.base.name": base.reference,
        },
    )


def bring_layers(
    base: BaseImage | None, paths: Mapping[str, Path], staging: Staging, cache: Path
) -> None:
    """Put the layers of a base image into the layout, unless they are where it goes already.

    Raises LockError where a file is not there, IntegrityError where it is another, DiskError.
    """
    for layer in base.layers if base else ():
        if staging.reuse(layer.digest, layer.size):
            continue
        blob = staging.blobs / layer.sha256
        if take_over(cache, layer.digest, layer.size, staging.blobs):
            if is_whole(blob, layer.digest, layer.size):
                continue
            blob.unlink()
        path = _file(layer, paths)
        verify_file(path, layer.sha256, layer.size)
        place(path, blob)


def parse_config(data: bytes, where: str) -> dict[str, Any]:
    """Return an image's configuration with the parts that are used in their right shape.

    ``config`` is there, ``rootfs.diff_ids`` too.  Raises ArtifactError.
    """
    if len(data) > LARGEST_CONFIG:
        raise ArtifactError("the configuration is larger than 4 MiB", where=where)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"the configuration is not JSON: {error}", where=where) from None
    if not isinstance(document, dict):
        raise ArtifactError("the configuration is not a JSON object", where=where)
    settings = document.get("config") or {}
    rootfs = document.get("rootfs")
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(settings, dict) or not isinstance(ids, list):
        raise ArtifactError("the configuration is not an image's", where=where)
    for key in ("Env", "Entrypoint", "Cmd"):
        value = settings.get(key)
        if value is not None and not _is_texts(value):
            raise ArtifactError(f"{key} in the configuration is no list of texts", where=where)
    for key in ("User", "WorkingDir"):
        if not isinstance(settings.get(key) or "", str):
            raise ArtifactError(f"{key} in the configuration is no text", where=where)
    labels = settings.get("Labels") or {}
    if not isinstance(labels, dict) or not _is_texts([*labels.values()]):
        raise ArtifactError("Labels in the configuration are no texts", where=where)
    return {**document, "config": settings}


def merged_settings(
    foundation: Foundation, image: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any]:
    """Return the ``config`` of the image that stands on ``foundation``.

    image: the spec's section; variables: the whole environment.  As in a Dockerfile, an
    entrypoint of one's own drops the base's command; user, folder and labels stay where the
    spec says nothing, and ``ONBUILD`` is not taken over.
    """
    below = foundation.settings
    settings: dict[str, Any] = {key: below[key] for key in KEPT if below.get(key)}
    settings["Env"] = [f"{name}={value}" for name, value in sorted(variables.items())]
    for key, setting in (("user", "User"), ("workdir", "WorkingDir")):
        if value := image.get(key) or below.get(setting):
            settings[setting] = value
    entrypoint, command = image.get("entrypoint"), image.get("command")
    if value := entrypoint or below.get("Entrypoint"):
        settings["Entrypoint"] = list(value)
    if value := command or (None if entrypoint else below.get("Cmd")):
        settings["Cmd"] = list(value)
    if labels := {**(below.get("Labels") or {}), **(image.get("labels") or {})}:
        settings["Labels"] = labels
    return settings


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _history(value: object, layers: int) -> tuple[dict[str, Any], ...]:
    """Return the base's history, or one line a layer where it does not fit its layers."""
    lines = value if isinstance(value, list) else []
    fitting = all(isinstance(line, dict) for line in lines)
    if fitting and sum(not line.get("empty_layer") for line in lines) == layers:
        return tuple(lines)
    return tuple({"created_by": f"layer {n} of the base image"} for n in range(1, layers + 1))


def _file(blob: BaseBlob, paths: Mapping[str, Path]) -> Path:
    try:
        return paths[blob.sha256]
    except KeyError:
        raise LockError(
            f"{blob.file}, of the base image, is not among the given files",
            hint="give it in the artifact map, or build where it can be fetched",
        ) from None
