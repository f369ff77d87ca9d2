"""The encoder of ``deflate`` as machine code, where this machine can make some.

``deflate.c`` does what ``deflate.py`` does, some thirty times faster and to the same bytes.
Where a C compiler is installed it is compiled for one command, into a folder that only this
user can write to and that is gone afterwards, or with the next command where this one is
killed; so nothing executable is ever kept in a cache that others share.  Before it is used its
answers are held against those of ``deflate.py``.  Without a compiler the build is slower, and its
bytes are the same.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.files import temporary_folder
from envlock.layers import deflate

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).with_name("deflate.c")
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-shared", "-fPIC")
_ROOM = deflate.largest(deflate.CHUNK)
_PATIENCE = 60  # seconds; a second is usual

_TRIAL = b"".join(
    [
        *(b"line %d of what is tried\n" % (n * n % 811) for n in range(1500)),
        bytes(700),
        bytes(n * n % 251 for n in range(3000)),
        b"0000644\x000000000\x00" * 20,
    ]
)
"""Both encoders' answers to this, and to its beginning, must be the same."""


class Encoder:
    """The two functions of a compiled ``deflate.c``; threads can call them at once.

    Raises OSError if it cannot be loaded.
    """

    def __init__(self, library: Path) -> None:
        loaded = ctypes.CDLL(str(library))
        self._compress, self._literals = loaded.envlock_compress, loaded.envlock_literals
        for function in (self._compress, self._literals):
            function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
            function.restype = ctypes.c_size_t
        self._here = threading.local()

    def compress(self, data: bytes) -> bytes:
        """Return what ``deflate.compress`` returns; raises MemoryError."""
        return self._call(self._compress, data)

    def literals(self, data: bytes) -> bytes:
        """Return what ``deflate.literals`` returns; raises MemoryError."""
        return self._call(self._literals, data)

    def _room(self) -> ctypes.Array[ctypes.c_char]:
        """Return this thread's place for what comes out."""
        room: ctypes.Array[ctypes.c_char] | None = getattr(self._here, "room", None)
        if room is None:
            room = self._here.room = ctypes.create_string_buffer(_ROOM)
        return room

    def _call(self, function: ctypes._NamedFuncPointer, data: bytes) -> bytes:
        most = deflate.largest(len(data))
        out = ctypes.create_string_buffer(most) if most > _ROOM else self._room()
        written = function(data, len(data), out)
        if data and not written:
            raise MemoryError
        return ctypes.string_at(out, written)


@contextlib.contextmanager
def compiled_encoder() -> Iterator[Path | None]:
    """Yield the compiled encoder as a shared library that :func:`use_encoder` takes, or None."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        yield None
        return
    with temporary_folder("envlock-deflate-") as folder:
        library = folder / "deflate.so"
        yield library if _compiled(compiler, library) else None


def kept_encoder() -> Path | None:
    """Return what :func:`compiled_encoder` yields; it is kept for as long as this process runs."""
    with _keeping:
        if _KEPT and _KEPT[0].exists():
            return _KEPT[0]
        library = _at_exit.enter_context(compiled_encoder())
        _KEPT[:] = [] if library is None else [library]
        return library


_KEPT: list[Path] = []
_keeping = threading.Lock()
_at_exit = contextlib.ExitStack()
atexit.register(_at_exit.close)


def _compiled(compiler: str, library: Path) -> bool:
    command = [compiler, *FLAGS, "-o", str(library), str(SOURCE)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and library.exists()


def use_encoder(library: Path | None) -> bool:
    """Let ``deflate`` of this process use the compiled encoder; tell whether it does.

    It does not where there is none, where the system does not run it (a folder for temporary
    files that is mounted ``noexec``), or where one of its answers is another.
    """
    deflate.take_over(None)
    if library is None:
        return False
    try:
        encoder = Encoder(library)
    except (OSError, AttributeError):
        return False
    for data in (_TRIAL, _TRIAL[:1900]):
        if encoder.compress(data) != deflate.compress(data):
            return False
        if encoder.literals(data) != deflate.literals(data):
            return False
    deflate.take_over(encoder)
    return True
