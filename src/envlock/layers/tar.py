"""A tar writer with every header field explicit (POSIX.1-2017 ustar and pax).

``tarfile`` asks the file system and the clock and is free to change its choices; a digest
must not follow it.  Sizes and numbers are octal with a leading zero and a NUL, names are
UTF-8, pax records appear only where a ustar field is too small, and there are no user or
group names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.errors import ArtifactError

if TYPE_CHECKING:
    from envlock.layers.entry import Entry

BLOCK = 512

MTIME = 315532800
"""1980-01-01T00:00:00Z, the oldest date that Python's zipfile accepts."""

END_OF_ARCHIVE = bytes(2 * BLOCK)

_TYPES = {"file": b"0", "hardlink": b"1", "symlink": b"2", "dir": b"5"}
_PAX = b"x"
_MAX_OCTAL_SIZE = 0o77777777777


def header(entry: Entry, mtime: int = MTIME) -> bytes:
    """Return the header block(s) of an entry; a file's content and padding follow it."""
    size = entry.content.size if entry.content is not None else 0
    path = entry.path + "/" if entry.kind == "dir" else entry.path
    records = []
    split = _split(path.encode())
    if split is None or not path.isascii():
        records.append(_pax_record("path", path))
    if len(entry.target.encode()) > 100 or not entry.target.isascii():
        records.append(_pax_record("linkpath", entry.target))
    if size > _MAX_OCTAL_SIZE:
        records.append(_pax_record("size", str(size)))
    prefix, name = split or (b"", path.encode()[:100])
    block = _block(
        entry, name, prefix, size=min(size, _MAX_OCTAL_SIZE), kind=_TYPES[entry.kind], mtime=mtime
    )
    if not records:
        return block
    return _pax_header(b"".join(records), mtime) + block


def padding(size: int) -> bytes:
    """Return the zeros that fill ``size`` bytes of content up to a whole block."""
    return bytes(-size % BLOCK)


def _split(path: bytes) -> tuple[bytes, bytes] | None:
    """Return ustar's (prefix, name), or None where the path does not fit."""
    if len(path) <= 100:
        return b"", path
    cut = path.find(b"/", len(path) - 101)
    if cut < 1 or cut > 155 or cut == len(path) - 1:
        return None
    return path[:cut], path[cut + 1 :]


def _octal(value: int, width: int) -> bytes:
    text = b"%0*o\0" % (width - 1, value)
    if len(text) > width or value < 0:
        raise ArtifactError(f"the number {value} does not fit into a tar header")
    return text


def _block(
    entry: Entry, name: bytes, prefix: bytes, *, size: int, kind: bytes, mtime: int
) -> bytes:
    fields = [
        name.ljust(100, b"\0"),
        _octal(entry.mode, 8),
        _octal(entry.uid, 8),
        _octal(entry.gid, 8),
        _octal(size, 12),
        _octal(mtime, 12),
        b" " * 8,
        kind,
        entry.target.encode()[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(32 + 32),
        _octal(0, 8),
        _octal(0, 8),
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = b"".join(fields)
    checksum = b"%06o\0 " % sum(block)
    return block[:148] + checksum + block[156:]


def _pax_record(keyword: str, value: str) -> bytes:
    """Return ``"<length> keyword=value\\n"``, whose length counts its own digits."""
    body = f" {keyword}={value}\n".encode()
    length = len(body) + 1
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body


def _pax_header(records: bytes, mtime: int) -> bytes:
    fields = [
        b"pax_header".ljust(100, b"\0"),
        _octal(0o644, 8),
        _octal(0, 8),
        _octal(0, 8),
        _octal(len(records), 12),
        _octal(mtime, 12),
        b" " * 8,
        _PAX,
        bytes(100),
        b"ustar\x0000",
        bytes(32 + 32),
        _octal(0, 8),
        _octal(0, 8),
        bytes(155 + 12),
    ]
    block = b"".join(fields)
    checksum = b"%06o\0 " % sum(block)
    return block[:148] + checksum + block[156:] + records + padding(len(records))
