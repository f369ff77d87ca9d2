"""Zip archives and wheels, made byte by byte so that they can also be wrong in every way."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.layers import deflate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

STORED, DEFLATED = 0, 8
UTF8, DESCRIPTOR, ENCRYPTED = 0x800, 0x8, 0x1


def deflated(data: bytes) -> bytes:
    """Return a raw DEFLATE stream that is the same on every machine."""
    return deflate.compress(data) + deflate.END


def zlib_stream(data: bytes, level: int = 6) -> bytes:
    """Return a raw DEFLATE stream as this machine's zlib makes it."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass
class Claims:
    """What a header says where it is not the truth."""

    name: bytes | None = None
    flags: int | None = None
    method: int | None = None
    crc: int | None = None
    packed: int | None = None
    size: int | None = None
    extra: bytes = b""
    offset: int | None = None


@dataclass
class Member:
    """One file of a zip; ``stream`` are the bytes as they lie in the archive."""

    name: str | bytes
    data: bytes = b""
    stream: bytes | None = None
    method: int = DEFLATED
    mode: int = 0o100644
    flags: int = UTF8
    descriptor: bool = False
    local: Claims = field(default_factory=Claims)
    central: Claims = field(default_factory=Claims)


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def make_zip(members: Iterable[Member], *, head: bytes = b"", tail: bytes = b"") -> bytes:
    """Return an archive; ``head`` goes before everything, ``tail`` after everything."""
    out, directory, count = io.BytesIO(), io.BytesIO(), 0
    for member in members:
        count += 1
        name = member.name if isinstance(member.name, bytes) else member.name.encode()
        stream = member.stream
        if stream is None:
            stream = member.data if member.method == STORED else deflated(member.data)
        truth = (zlib.crc32(member.data), len(stream), len(member.data))
        flags = member.flags | (DESCRIPTOR if member.descriptor else 0)
        offset = out.tell()
        for claims, target in ((member.local, out), (member.central, directory)):
            central = target is directory
            told = (0, 0, 0) if member.descriptor and not central else truth
            crc, packed, size = (
                _or(claim, fact)
                for claim, fact in zip((claims.crc, claims.packed, claims.size), told, strict=True)
            )
            written = name if claims.name is None else claims.name
            common = struct.pack(
                "<5H3L2H",
                *(20, _or(claims.flags, flags), _or(claims.method, member.method), 0, 0x21),
                *(crc, packed, size, len(written), len(claims.extra)),
            )
            if central:
                more = struct.pack("<3H2L", 0, 0, 0, member.mode << 16, _or(claims.offset, offset))
                target.write(b"PK\x01\x02" + struct.pack("<H", 3 << 8 | 20) + common + more)
            else:
                target.write(b"PK\x03\x04" + common)
            target.write(written + claims.extra)
        out.write(stream)
        if member.descriptor:
            out.write(b"PK\x07\x08" + struct.pack("<3L", *truth))
    start, entries = out.tell(), directory.getvalue()
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, count, count, len(entries), start, 0)
    return head + out.getvalue() + entries + end + tail


def record_row(name: str, data: bytes) -> tuple[str, str, str]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return name, f"sha256={digest}", str(len(data))


def record_text(members: Iterable[Member], record: str) -> bytes:
    """Return the RECORD of a wheel with these files."""
    out = io.StringIO()
    rows = [record_row(str(member.name), member.data) for member in members]
    csv.writer(out, lineterminator="\n").writerows([*rows, (record, "", "")])
    return out.getvalue().encode()


def wheel_members(
    name: str,
    version: str,
    files: Mapping[str, bytes] | None = None,
    *,
    requires: Iterable[str] = (),
    entry_points: str = "",
    data: Mapping[str, bytes] | None = None,
    executable: Iterable[str] = (),
    extra: Mapping[str, bytes] | None = None,
    tag: str = "py3-none-any",
    wheel_version: str = "1.0",
    pack: Callable[[bytes], bytes] = deflated,
) -> list[Member]:
    """Return a wheel's files, RECORD last.

    data: path below ``.data`` to content; extra: path below ``.dist-info`` to content.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {text}\n" for text in requires)
    wheel = f"Wheel-Version: {wheel_version}\nGenerator: by hand\nRoot-Is-Purelib: true\n"
    contents: dict[str, bytes] = dict(files or {})
    contents |= {f"{stem}.data/{path}": content for path, content in (data or {}).items()}
    contents[f"{info}/METADATA"] = metadata.encode()
    contents[f"{info}/WHEEL"] = f"{wheel}Tag: {tag}\n".encode()
    if entry_points:
        contents[f"{info}/entry_points.txt"] = entry_points.encode()
    contents |= {f"{info}/{path}": content for path, content in (extra or {}).items()}
    run = set(executable)
    members = [
        Member(path, content, pack(content), mode=0o100755 if path in run else 0o100644)
        for path, content in contents.items()
    ]
    text = record_text(members, f"{info}/RECORD")
    return [*members, Member(f"{info}/RECORD", text, pack(text))]


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes] | None = None,
    *,
    requires: Iterable[str] = (),
    entry_points: str = "",
    data: Mapping[str, bytes] | None = None,
    executable: Iterable[str] = (),
    extra: Mapping[str, bytes] | None = None,
    tag: str = "py3-none-any",
    wheel_version: str = "1.0",
    pack: Callable[[bytes], bytes] = deflated,
) -> Path:
    """Write a wheel, the same bytes on every machine with the default ``pack``."""
    members = wheel_members(
        name,
        version,
        files,
        requires=requires,
        entry_points=entry_points,
        data=data,
        executable=executable,
        extra=extra,
        tag=tag,
        wheel_version=wheel_version,
        pack=pack,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    path.write_bytes(make_zip(members))
    return path
