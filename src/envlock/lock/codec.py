"""The lock file's text: canonical JSON that people read in diffs and machines verify.

Sorted keys, one artifact a block in order of kind and name, no times, hosts, paths of this
machine or users.  Each artifact carries a ``seal`` and the whole file one more: a hand edit
breaks the seal of its block, a merge that joined blocks of two locks only the file's.
Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from envlock.errors import LockError, StaleLockError
from envlock.lock.attested import plain
from envlock.lock.base import parse_base, plain_base
from envlock.lock.condarecord import parse_record, plain_record
from envlock.lock.model import (
    FORMAT,
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
from envlock.lock.shape import check_spec
from envlock.lock.values import CONDA_NAME, NAME, PATH, mapping, matching, text, texts, whole
from envlock.platforms import PLATFORMS

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Kind

_SOURCE_KEY = {"pypi": "index", "debian": "archive", "conda": "channel"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})( |$)", re.MULTILINE)
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:/[A-Za-z0-9][A-Za-z0-9._+-]*)*")


def lock_path(folder: Path, name: str, platform: str) -> Path:
    """Return where the lock of an environment lies in ``locks/``."""
    return folder / f"{name}.{platform}.lock.json"


def dump_lock(lock: Lock) -> str:
    """Return the lock file's text; the same lock gives the same text."""
    value = _plain(lock)
    value["seal"] = _seal(value)
    if lock.built is not None:
        value["built"] = {key: item for key, item in asdict(lock.built).items() if item}
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def lock_digest(lock: Lock) -> str:
    """Return the ``sha256:`` digest of the lock file's text without what a build recorded in it.

    It is that of the file as long as nothing is recorded, and does not change when it is.
    """
    text = dump_lock(replace(lock, built=None))
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def load_lock(path: Path) -> Lock:
    """Read a lock file; raises LockError, or StaleLockError if its seals are broken."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever
            raise LockError("the lock cannot be read: it is no regular file", where=str(path))
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise LockError(
            "there is no lock", where=str(path), hint="run envlock solve to make it"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"the lock cannot be read: {error}", where=str(path)) from None
    return parse_lock(text, str(path))


def parse_lock(text: str, shown: str) -> Lock:
    """Parse and verify a lock's text; ``shown`` is its name in errors."""
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise StaleLockError(
            "a merge left its conflict markers", where=f"{shown}:{line}", hint=_AGAIN
        )
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LockError(f"not a lock file: {error}", where=shown, hint=_AGAIN) from None
    if not isinstance(value, dict) or "format" not in value:
        raise LockError("not a lock file of envlock", where=shown)
    if type(value["format"]) is not int or value["format"] != FORMAT:
        raise _another_format(value["format"], shown)
    try:
        lock = _lock(value)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise StaleLockError(
            f"the lock was changed by hand: {reason}", where=shown, hint=_AGAIN
        ) from None
    _verify_seals(value, lock, shown)
    return lock


def _another_format(found: object, shown: str) -> LockError:
    newer = isinstance(found, int) and found > FORMAT
    who = "a newer envlock wrote it: update" if newer else "use the envlock that wrote it"
    return LockError(
        f"this lock has format {found!r}; this envlock reads format {FORMAT}",
        where=shown,
        hint=f"{who} (envlock --version tells the format that one reads), or solve again",
    )


_AGAIN = "git checkout the lock of one side, then run envlock solve"


def _plain(lock: Lock) -> dict[str, Any]:
    value: dict[str, Any] = {
        "format": lock.format,
        "packer": lock.packer,
        "name": lock.name,
        "platform": lock.platform,
        "input": lock.input,
        "spec": lock.spec,
        "artifacts": [_plain_artifact(artifact) for artifact in _ordered(lock.artifacts)],
        "overrides": [_plain_override(override) for override in lock.overrides],
        "excludes": [
            {"package": exclude.package, "voids": [_plain_void(v) for v in exclude.voids]}
            for exclude in lock.excludes
        ],
    }
    if lock.debian is not None:
        value["debian"] = asdict(lock.debian)
    if lock.base is not None:
        value["base"] = plain_base(lock.base)
    if lock.audit is not None:
        value["audit"] = asdict(lock.audit)
    if lock.merged:
        value["merged"] = True
    return json.loads(json.dumps(value))  # type: ignore[no-any-return]  # tuples become lists


def _ordered(artifacts: tuple[Artifact, ...]) -> list[Artifact]:
    return sorted(artifacts, key=lambda artifact: (artifact.kind, artifact.name, artifact.file))


def _plain_artifact(artifact: Artifact) -> dict[str, Any]:
    value = asdict(artifact)
    value[_SOURCE_KEY[artifact.kind]] = value.pop("source")
    value["depends"] = list(artifact.depends)
    del value["conda"]
    if artifact.conda is not None:
        value["conda"] = plain_record(artifact.conda)
    if artifact.yanked is None:
        del value["yanked"]
    del value["attested"]
    if artifact.attested is not None:
        value["attested"] = plain(artifact.attested)
    value["seal"] = _seal(value)
    return value


def _plain_override(override: LockedOverride) -> dict[str, Any]:
    value: dict[str, Any] = {
        "package": override.package,
        "version": override.version,
        "voids": [_plain_void(void) for void in override.voids],
    }
    if override.kind != "pypi":
        value["kind"] = override.kind
    if override.replaces is not None:
        value["replaces"] = override.replaces
    return value


def _plain_void(void: VoidedRequirement) -> dict[str, Any]:
    value = asdict(void)
    if void.kind == "pypi":
        del value["kind"]
    return value


def _seal(value: dict[str, Any]) -> str:
    """Return a short hash of a block, without its own seal and the digests of a build."""
    bare = {key: item for key, item in value.items() if key not in {"seal", "built"}}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one block")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _lock(value: dict[str, Any]) -> Lock:
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
    if kind not in _SOURCE_KEY:
        raise ValueError(f"artifact kind {kind!r} is not known")
    file = text(value["file"])
    path = matching(PATH, value["path"])
    parts = path.split("/")
    if parts[-1] != file or {".", ".."} & {*parts}:
        raise ValueError(f"{value['name']}: {path!r} is no place of a file")
    if (kind == "conda") != ("conda" in value):
        raise ValueError(f"{value['name']}: 'conda' belongs to artifacts of that kind")
    return Artifact(
        kind=kind,
        name=matching(CONDA_NAME if kind == "conda" else NAME, value["name"]),
        version=text(value["version"]),
        source=matching(_CHANNEL if kind == "conda" else NAME, value[_SOURCE_KEY[kind]]),
        file=file,
        path=path,
        sha256=matching(_SHA256, value["sha256"]),
        size=whole(value["size"]),
        depends=texts(value["depends"]),
        conda=parse_record(value, path) if kind == "conda" else None,
        yanked=text(value["yanked"]) if "yanked" in value else None,
        attested=_attested(value["attested"]) if "attested" in value else None,
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


def _verify_seals(value: dict[str, Any], lock: Lock, shown: str) -> None:
    """Raise StaleLockError naming each block that is not as envlock wrote it."""
    edited = [
        f"  {item['kind']} {item['name']} {item['version']}"
        for item in value["artifacts"]
        if item.get("seal") != _seal(item)
    ]
    if edited:
        raise StaleLockError(
            f"{len(edited)} artifact(s) were changed by hand",
            where=shown,
            details=edited,
            hint="change the spec, not the lock; " + _AGAIN,
        )
    if value.get("seal") == _seal(value) and _ordered(lock.artifacts) == list(lock.artifacts):
        return
    raise StaleLockError(
        "the lock is not what envlock wrote: every artifact is intact, but not this set of "
        "them with this spec (a merge joined two locks, or other lines were edited)",
        where=shown,
        details=_splice_details(lock),
        hint=_AGAIN,
    )


def _splice_details(lock: Lock) -> list[str]:
    seen: dict[tuple[str, str], str] = {}
    details = []
    for artifact in lock.artifacts:
        key = (artifact.kind, artifact.name)
        if key in seen:
            details.append(f"  {artifact.name} is there twice: {seen[key]} and {artifact.version}")
        seen[key] = artifact.version
    return details
