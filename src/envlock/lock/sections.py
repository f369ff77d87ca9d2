"""Locks from plain values, each checked: whoever edits a lock edits all of it.

Standard library only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from envlock.lock.base import parse_base
from envlock.lock.condarecord import parse_record
from envlock.lock.model import (
    AcceptedBreakage,
    Artifact,
    Attested,
    AuditSection,
    BuiltImage,
    BuiltLayer,
    DebianIndex,
    DebianSection,
    Lock,
    LockedExclude,
    LockedOverride,
    MaintainerScript,
    VoidedRequirement,
)
from envlock.lock.plain import SOURCE_KEY
from envlock.lock.shape import check_spec
from envlock.lock.values import (
    CONDA_NAME,
    NAME,
    PATH,
    kept_path,
    mapping,
    matching,
    text,
    texts,
    whole,
)
from envlock.platforms import PLATFORMS

if TYPE_CHECKING:
    from envlock.lock.model import Kind

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:/[A-Za-z0-9][A-Za-z0-9._+-]*)*")


def lock_of(value: dict[str, Any]) -> Lock:
    """Return the lock; raises KeyError, TypeError, ValueError, AttributeError, OverflowError."""
    debian = value.get("debian")
    lock = Lock(
        name=matching(NAME, value["name"]),
        platform=matching(NAME, value["platform"]),
        spec=mapping(value["spec"]),
        artifacts=tuple(_artifact(item) for item in value["artifacts"]),
        overrides=tuple(_override(item) for item in value["overrides"]),
        excludes=tuple(
            LockedExclude(package=text(item["package"]), voids=_voids(item["voids"]))
            for item in value["excludes"]
        ),
        debian=_debian(debian) if debian is not None else None,
        base=parse_base(mapping(value["base"])) if "base" in value else None,
        audit=_audit(value["audit"]) if "audit" in value else None,
        built=_built(value["built"]) if "built" in value else None,
        packer=whole(value["packer"]),
        merged=_merged(value.get("merged", False)),
    )
    if value["input"] != lock.input:
        raise ValueError("its spec section does not have the hash that stands under 'input'")
    if lock.platform not in PLATFORMS:
        raise ValueError(f"{lock.platform} is no platform")
    for artifact in lock.artifacts:
        if artifact.conda and artifact.conda.subdir not in (lock.platform, "noarch"):
            raise ValueError(f"{artifact.name} is for {artifact.conda.subdir}")
    check_spec(lock.spec)
    if (lock.base is None) == ("base" in lock.spec.get("image", {})):
        raise ValueError("'base' belongs to locks whose spec names one")
    return lock


def _artifact(value: dict[str, Any]) -> Artifact:
    kind = value["kind"]
    if kind not in SOURCE_KEY:
        raise ValueError(f"artifact kind {kind!r} is not known")
    file = text(value["file"])
    path = matching(PATH, value["path"])
    parts = path.split("/")
    if parts[-1] != file or {".", ".."} & {*parts}:
        raise ValueError(f"{value['name']}: {path!r} is no place of a file")
    if (kind == "conda") != ("conda" in value):
        raise ValueError(f"{value['name']}: 'conda' belongs to artifacts of that kind")
    if kind != "pypi" and "clobbered" in value:
        raise ValueError(f"{value['name']}: 'clobbered' belongs to wheels")
    return Artifact(
        kind=kind,
        name=matching(CONDA_NAME if kind == "conda" else NAME, value["name"]),
        version=text(value["version"]),
        source=matching(_CHANNEL if kind == "conda" else NAME, value[SOURCE_KEY[kind]]),
        file=file,
        path=path,
        sha256=matching(_SHA256, value["sha256"]),
        size=whole(value["size"]),
        depends=texts(value["depends"]),
        conda=parse_record(value, path) if kind == "conda" else None,
        yanked=text(value["yanked"]) if "yanked" in value else None,
        attested=_attested(value["attested"]) if "attested" in value else None,
        clobbered=tuple(kept_path(NAME, item) for item in value.get("clobbered", [])),
    )


def _attested(value: dict[str, Any]) -> Attested:
    return Attested(**{key: text(item) for key, item in mapping(value).items()})


def _override(value: dict[str, Any]) -> LockedOverride:
    return LockedOverride(
        package=text(value["package"]),
        version=text(value["version"]),
        voids=_voids(value["voids"]),
        kind=_kind(value),
        replaces=matching(CONDA_NAME, value["replaces"]) if "replaces" in value else None,
    )


def _voids(value: list[dict[str, Any]]) -> tuple[VoidedRequirement, ...]:
    return tuple(
        VoidedRequirement(
            dependent=text(item["dependent"]),
            version=text(item["version"]),
            requirement=text(item["requirement"]),
            kind=_kind(item),
        )
        for item in map(mapping, value)
    )


def _kind(value: dict[str, Any]) -> Kind:
    kind: Kind = value.get("kind", "pypi")
    if kind not in ("pypi", "conda"):
        raise ValueError(f"{kind!r} is no kind of an override")
    return kind


def _audit(value: dict[str, Any]) -> AuditSection:
    return AuditSection(
        accepted=tuple(
            AcceptedBreakage(
                override=None if item["override"] is None else text(item["override"]),
                pattern=text(item["pattern"]),
                findings=texts(item["findings"]),
            )
            for item in value["accepted"]
        )
    )


def _merged(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("'merged' is neither true nor false")
    return value


def _built(value: dict[str, Any]) -> BuiltImage:
    return BuiltImage(
        manifest=matching(_DIGEST, value["manifest"]),
        config=matching(_DIGEST, value["config"]),
        layers=tuple(
            BuiltLayer(
                diff_id=matching(_DIGEST, layer["diff_id"]),
                digest=matching(_DIGEST, layer["digest"]),
                size=whole(layer["size"]),
                plain_size=whole(layer["plain_size"]),
            )
            for layer in map(mapping, value.get("layers", []))
        ),
    )


def _debian(value: dict[str, Any]) -> DebianSection:
    return DebianSection(
        suite=text(value["suite"]),
        architecture=text(value["architecture"]),
        indexes=tuple(
            DebianIndex(**{key: text(said) for key, said in mapping(item).items()})
            for item in value["indexes"]
        ),
        scripts=tuple(
            MaintainerScript(
                package=text(item["package"]),
                script=text(item["script"]),
                handled=texts(item["handled"]),
                unhandled=texts(item["unhandled"]),
            )
            for item in value["scripts"]
        ),
    )
