"""Compressed parts of archives as streams that cannot grow without bounds.

zstd is in the standard library from Python 3.14 on.  Before, the module of the same shape
that ``backports.zstd`` brings is taken where it is installed, and else the program ``zstd``:
decompression has one right answer, so that none of them can change a digest.
"""

from __future__ import annotations

import bz2
import contextlib
import importlib
import io
import lzma
import shutil
import subprocess
import threading
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

from envlock.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

CHUNK = 1 << 18
XZ_MEMORY = 256 << 20
"""Bytes that an xz stream may ask for; ``xz -9``, the most dpkg-deb uses, needs 65 MiB."""


class Extent(Protocol):
    """A part of a file; both in bytes."""

    @property
    def offset(self) -> int: ...
    @property
    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Span:
    """An :class:`Extent` as plain data."""

    offset: int
    size: int


class _Inflate(Protocol):
    """What lzma's, bz2's and zstd's decompressors share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


class _Stored:
    """No compression."""

    eof = False
    needs_input = True
    unused_data = b""

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:  # noqa: ARG002
        return data


class _Gzip:
    """zlib's object under the names that the others use (RFC 1952)."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._held_back = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail and not self._held_back

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:
        size = max(max_length, 0)
        made = self._inner.decompress(self._inner.unconsumed_tail + data, size)
        self._held_back = len(made) == size  # more may come without any input
        return made


def _xz() -> _Inflate:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


def zstd_module() -> Any:
    """Return a module like Python 3.14's ``compression.zstd``, None where there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


def needed_zstd_module(need: str = "the package is compressed with zstd") -> Any:
    """Return the module of :func:`zstd_module`; raises ArtifactError where there is none.

    need: what it is needed for, a sentence without its full stop.
    """
    zstd = zstd_module()
    if zstd is None:
        raise ArtifactError(
            f"{need}, which this Python does not know",
            hint="install backports.zstd, or run envlock with Python 3.14 or newer"
            "\n(for conda and Debian packages the program zstd will do as well)",
        )
    return zstd


class _Zstd:
    """Python 3.14's decompressor or its backport, whose error class is unknown elsewhere."""

    def __init__(self) -> None:
        zstd = needed_zstd_module()
        self._error: type[Exception] = zstd.ZstdError
        self._inner: _Inflate = zstd.ZstdDecompressor()

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:
        try:
            return self._inner.decompress(data, max_length)
        except self._error as error:
            raise ValueError(str(error)) from None


DECODERS: Mapping[str, Callable[[], _Inflate]] = {
    "": _Stored,
    ".gz": _Gzip,
    ".xz": _xz,
    ".bz2": bz2.BZ2Decompressor,
    ".zst": _Zstd,
}
"""By the suffix of the member's name."""


class Unpacked:
    """The decompressed bytes of one part of a file, at most ``limit`` of them."""

    def __init__(self, file: BinaryIO, part: Extent, suffix: str, limit: int) -> None:
        file.seek(part.offset)
        self._file, self._left = file, part.size
        self._make = DECODERS[suffix]
        self._decoder = self._make()
        self._limit, self._seen = limit, 0
        self._ready = bytearray()

    def read(self, size: int, /) -> bytes:
        """Return ``size`` bytes, or what is left at the end."""
        while len(self._ready) < size:
            try:
                piece = self._more()
            except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
                raise ArtifactError(f"damaged compressed data: {error}") from None
            if piece is None:
                break
            self._seen += len(piece)
            if self._seen > self._limit:
                raise ArtifactError(f"unpacks to more than the {self._limit} bytes allowed")
            self._ready += piece
        with memoryview(self._ready) as view:
            data = bytes(view[:size])
        del self._ready[:size]
        return data

    def _more(self) -> bytes | None:
        """Return some bytes, perhaps none yet; None at the end."""
        rest = b""
        if self._decoder.eof:
            # xz and gzip files may be several streams; zeros after one are padding.
            rest = self._decoder.unused_data.lstrip(b"\0")
            if not rest:
                rest = self._raw().lstrip(b"\0")
            if not rest:
                if not self._left:
                    return None
                return b""
            self._decoder = self._make()
        elif self._decoder.needs_input:
            rest = self._raw()
            if not rest:
                if isinstance(self._decoder, _Stored):
                    return None
                raise ArtifactError("the compressed data ends too early")
        return self._decoder.decompress(rest, CHUNK)

    def _raw(self) -> bytes:
        data = self._file.read(min(CHUNK, self._left))
        if not data and self._left:
            raise ArtifactError("the file became shorter while it was read")
        self._left -= len(data)
        return data


class _Program:
    """The plain bytes of a zstd part, as the program ``zstd`` gives them."""

    def __init__(self, output: IO[bytes], limit: int) -> None:
        self._output, self._limit, self._seen = output, limit, 0

    def read(self, size: int, /) -> bytes:
        data = self._output.read(size)
        self._seen += len(data)
        if self._seen > self._limit:
            raise ArtifactError(f"unpacks to more than the {self._limit} bytes allowed")
        return data


class Plain(Protocol):
    """What both ways to the plain bytes share; fewer bytes than asked for mean the end."""

    def read(self, size: int, /) -> bytes: ...


@contextlib.contextmanager
def unpacked(file: BinaryIO, part: Extent, suffix: str, limit: int) -> Iterator[Plain]:
    """Yield the plain bytes of a part of ``file``, compressed by the rule of ``suffix``.

    Raises ArtifactError like :class:`Unpacked`, and where nothing here can read zstd.
    """
    program = shutil.which("zstd") if suffix == ".zst" and zstd_module() is None else None
    if program is None:
        yield Unpacked(file, part, suffix, limit)
        return
    command = [program, "-d", "-c", "-q", "--no-progress", "--long=27", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        feeder = threading.Thread(target=_feed, args=(process, file, part), daemon=True)
        feeder.start()
        assert process.stdout is not None
        try:
            yield _Program(process.stdout, limit)
            whole = not process.stdout.read(1)
        except BaseException:
            process.kill()
            raise
        feeder.join()
        if process.wait() or not whole:
            raise ArtifactError("damaged compressed data: zstd refused it")


def _feed(process: subprocess.Popen[bytes], file: BinaryIO, part: Extent) -> None:
    """Write a part of ``file`` to a process, until one of the two ends."""
    assert process.stdin is not None
    file.seek(part.offset)
    left = part.size
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        while left and (piece := file.read(min(CHUNK, left))):
            left -= len(piece)
            pipe.write(piece)


def inflate(data: bytes, suffix: str, limit: int) -> bytes:
    """Return ``data`` decompressed by the rule of ``suffix`` (``.xz``, ``.gz``, empty, ...).

    Raises ArtifactError for more than ``limit`` bytes, for damaged data, and for a suffix that
    is not known.
    """
    if suffix not in DECODERS:
        raise ArtifactError(f"compressed as {suffix!r}, which envlock cannot read")
    whole = Span(0, len(data))
    return Unpacked(io.BytesIO(data), whole, suffix, limit).read(limit + 1)
