"""Wheels made in code (PyPA binary distribution format)."""

from __future__ import annotations

import base64
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_DATE = (2025, 1, 1, 0, 0, 0)


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, bytes | str] | None = None,
    requires: Sequence[str] = (),
    entry_points: Mapping[str, Mapping[str, str]] | None = None,
    data: Mapping[str, bytes | str] | None = None,
    tag: str = "py3-none-any",
    compression: int = zipfile.ZIP_DEFLATED,
    python_requires: str | None = None,
    extras: Sequence[str] = (),
    metadata: str | None = None,
) -> Path:
    """Write a wheel with a correct RECORD and return its path.

    ``files``: path in the wheel -> content, by default one empty package; ``entry_points``:
    group -> name -> object; ``data``: path below ``<name>-<version>.data/`` -> content;
    ``metadata``: the whole METADATA instead of one made from the other arguments.
    """
    plain = name.replace("-", "_").replace(".", "_")
    info = f"{plain}-{version}.dist-info"
    members: dict[str, bytes] = {
        path: _bytes(content) for path, content in (files or {f"{plain}/__init__.py": ""}).items()
    }
    for path, content in (data or {}).items():
        members[f"{plain}-{version}.data/{path}"] = _bytes(content)
    members[f"{info}/METADATA"] = (
        metadata or metadata_text(name, version, requires, python_requires, extras)
    ).encode()
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"
    ).encode()
    if entry_points:
        members[f"{info}/entry_points.txt"] = "".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
            for group, entries in entry_points.items()
        ).encode()
    members[f"{info}/RECORD"] = record_text(members, f"{info}/RECORD").encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{plain}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", compression) as archive:
        for path, content in members.items():
            member = zipfile.ZipInfo(path, _DATE)
            member.compress_type = compression
            member.external_attr = 0o100644 << 16
            archive.writestr(member, content)
    return wheel


def metadata_text(
    name: str,
    version: str,
    requires: Sequence[str] = (),
    python_requires: str | None = None,
    extras: Sequence[str] = (),
) -> str:
    """Return a METADATA file (core metadata 2.1)."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {python_requires}"] if python_requires else []
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join(lines) + "\n"


def record_text(members: Mapping[str, bytes], record: str) -> str:
    """Return the RECORD of these members."""
    lines = []
    for path, content in members.items():
        digest = base64.urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    return "".join(lines) + f"{record},,\n"


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content
