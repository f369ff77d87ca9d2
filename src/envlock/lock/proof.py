"""The proof beside a lock: which image was checked, when, on which GPU, with what result.

``locks/<name>.<platform>.proof.json`` is canonical JSON without hosts, paths or times of day,
written by ``envlock validate --record`` and checked in by people.  It is no seal: it says what
somebody saw.  Standard library only.
"""

from __future__ import annotations

import json
import re
import stat
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from envlock.errors import LockError
from envlock.platforms import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from envlock.lock.model import Lock

FORMAT = 1
"""Version of the file's format."""

STATUSES = ("passed", "failed", "not-run", "accepted", "recovered")

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MAX_BYTES = 4 << 20
_AGAIN = "envlock validate --record writes it anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenCheck:
    """One check and its status, one of STATUSES; reason: why it was not run, else None."""

    kind: str
    subject: str
    status: str
    override: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofGpu:
    """The GPUs that were there, the driver's version, and the newest CUDA it supports."""

    names: tuple[str, ...]
    driver: str | None
    cuda: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was seen of one image.

    image: its manifest's digest; input: the lock's (:attr:`Lock.input`); date: ``YYYY-MM-DD``
    in UTC; envlock: the version that checked; gpu: None where none was used.
    """

    name: str
    platform: str
    image: str
    input: str
    date: str
    envlock: str
    gpu: ProofGpu | None
    checks: tuple[ProvenCheck, ...]


def proof_path(folder: Path, name: str, platform: str) -> Path:
    """Return where the proof of an environment lies in ``locks/``."""
    return folder / f"{name}.{platform}.proof.json"


def dump_proof(proof: Proof) -> str:
    """Return the file's text; the same proof gives the same text."""
    value = {"format": FORMAT, **asdict(proof)}
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def load_proof(path: Path, shown: str | None = None) -> Proof:
    """Read a proof; ``shown`` is its name in errors, the path without one.

    Raises LockError for one that envlock did not write so.
    """
    shown = shown or str(path)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > _MAX_BYTES:
            raise LockError("the proof is no regular file, or too large", where=shown)
        value = json.loads(path.read_text("utf-8"), object_pairs_hook=_no_duplicates)
        return _proof(value)
    except (OSError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise LockError(f"the proof cannot be read: {why}", where=shown) from None
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise LockError(
            f"the proof is not as envlock writes it: {reason}", where=shown, hint=_AGAIN
        ) from None


def staleness(proof: Proof, lock: Lock) -> Iterator[str]:
    """Yield why a proof says nothing of what a lock describes now; nothing where it fits."""
    if (proof.name, proof.platform) != (lock.name, lock.platform):
        yield f"the proof is of {proof.name} {proof.platform}"
    elif lock.built is not None and lock.built.manifest != proof.image:
        yield f"the proof is of {proof.image}, recorded is {lock.built.manifest}"
    elif proof.input != lock.input:
        yield "the proof is of another state of the spec"


def _proof(value: object) -> Proof:
    table = _table(value, "the proof", {"format", *(item.name for item in fields(Proof))})
    if type(table["format"]) is not int or table["format"] != FORMAT:
        raise ValueError(f"its format is {table['format']!r}; this envlock reads {FORMAT}")
    platform = _text(table, "platform", _NAME)
    if platform not in PLATFORMS:
        raise ValueError(f"{platform} is no platform")
    if not isinstance(table["checks"], list):
        raise TypeError("checks is no list")
    return Proof(
        name=_text(table, "name", _NAME),
        platform=platform,
        image=_text(table, "image", _DIGEST),
        input=_text(table, "input", _DIGEST),
        date=_text(table, "date", _DATE),
        envlock=_text(table, "envlock"),
        gpu=None if table["gpu"] is None else _gpu(table["gpu"]),
        checks=tuple(_check(item, f"checks[{n}]") for n, item in enumerate(table["checks"])),
    )


def _gpu(value: object) -> ProofGpu:
    table = _table(value, "gpu", {item.name for item in fields(ProofGpu)})
    names = table["names"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("gpu.names is no list of texts")
    return ProofGpu(
        names=tuple(names), driver=_optional(table, "driver"), cuda=_optional(table, "cuda")
    )


def _check(value: object, place: str) -> ProvenCheck:
    table = _table(value, place, {item.name for item in fields(ProvenCheck)})
    if table["status"] not in STATUSES:
        raise ValueError(f"{place}.status is {table['status']!r}")
    return ProvenCheck(
        kind=_text(table, "kind"),
        subject=_text(table, "subject"),
        status=table["status"],
        override=_optional(table, "override"),
        reason=_optional(table, "reason"),
    )


def _table(value: object, place: str, keys: set[str]) -> dict[str, Any]:
    """Return a mapping that has these keys and no others."""
    if not isinstance(value, dict):
        raise TypeError(f"{place} is no mapping")
    unknown = sorted(value.keys() - keys)
    if unknown:
        raise ValueError(f"{place} has an unknown key {unknown[0]!r}")
    for key in sorted(keys - value.keys()):
        raise KeyError(key)
    return value


def _text(table: dict[str, Any], key: str, pattern: re.Pattern[str] | None = None) -> str:
    text = table[key]
    if not isinstance(text, str):
        raise TypeError(f"{key} is no text")
    if pattern is not None and not pattern.fullmatch(text):
        raise ValueError(f"{key}: {text!r} cannot stand there")
    return text


def _optional(table: dict[str, Any], key: str) -> str | None:
    return None if table[key] is None else _text(table, key)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one block")
    return value
