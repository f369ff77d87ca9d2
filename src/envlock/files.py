"""Files written so that nothing half-written is ever found under its name."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import glob
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.errors import DiskError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

PIECE = 1024 * 1024
"""Bytes read at once."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about ``path`` into a DiskError."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"the disk refused: {error.strerror or error}",
            where=str(path),
            details=_free(path) if error.errno in _FULL else (),
            hint=_advice(error.errno),
        ) from error


def _free(path: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError, StopIteration):
        place = next(folder for folder in (path, *path.parents) if folder.exists())
        return (f"  {shutil.disk_usage(place).free // 2**20} MiB are free there",)
    return ()


def _advice(number: int | None) -> str | None:
    """Say what may help; whether the place is the cache or an output is not known here."""
    elsewhere = "go elsewhere (ENVLOCK_CACHE_DIR moves the cache, -o the image)"
    if number in _FULL:
        return f"make room, or {elsewhere}"
    if number in _FORBIDDEN:
        return f"get the permission for this place, or {elsewhere}"
    if number == errno.EROFS:
        return f"this place can only be read: {elsewhere}"
    return None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path``, waiting for other processes.

    The file is removed afterwards; a process that waited for it notices and locks the new one.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with disk_errors(path):
            stream = path.open("ab")
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            try:
                current = os.fstat(stream.fileno()).st_ino == path.stat().st_ino
            except FileNotFoundError:
                current = False
            if not current:
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def sync(path: Path) -> None:
    """Ask the system to bring a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def written_beside(folder: Path, prefix: str, mode: int = 0o644) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a new file of ``folder`` to write to and to rename; it is gone if that fails.

    mode: its permissions, whatever the umask; others may read what a shared cache holds.

    The file is locked as long as it is written, so that :func:`sweep` knows it from one
    that a killed process left before this one first wrote there.  ``prefix`` starts with a dot.
    Raises DiskError.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in _hidden_at_first(folder):
            if name.startswith(prefix):
                _remove_unless_locked(folder / name)
        descriptor, beside = locked_file(folder, prefix)
    try:
        os.fchmod(descriptor, mode)
        with disk_errors(folder), os.fdopen(descriptor, "wb") as out:
            yield out, beside
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def locked_file(folder: Path, prefix: str) -> tuple[int, Path]:
    """Make a file and lock it; another process may sweep it away in between."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=prefix, dir=folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)


def sweep(folder: Path, prefix: str) -> None:
    """Remove the files that killed processes of this user left in ``folder``; raises OSError."""
    for path in folder.glob(f"{prefix}*"):
        _remove_unless_locked(path)


@functools.lru_cache(maxsize=1024)
def _hidden_at_first(folder: Path) -> tuple[str, ...]:
    """Return the hidden names of ``folder`` when this process first asked; raises OSError.

    Listing it before each of many writes would take time that grows with their square.
    """
    return tuple(name for name in os.listdir(folder) if name.startswith("."))  # noqa: PTH208


def _remove_unless_locked(path: Path) -> None:
    """Remove a file unless it is in use; what is gone or another user's is left alone."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Yield a new folder among the temporary files, that only this user can look into.

    It is locked as long as it is there, so that the next one who asks for this ``prefix`` sweeps
    away what killed processes left.  Where folders cannot be locked nothing is swept.  Raises
    DiskError.
    """
    parent = Path(tempfile.gettempdir())
    with disk_errors(parent):
        _sweep_folders(parent, prefix)
        folder, descriptor = _locked_folder(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(prefix: str) -> tuple[Path, int]:
    """Make a folder and lock it; another process may sweep it away in between."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            descriptor = _opened_folder(folder)
        except FileNotFoundError:
            continue
        with contextlib.suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)


def _sweep_folders(parent: Path, prefix: str) -> None:
    """Remove this user's folders that nobody holds a lock on."""
    for folder in parent.glob(f"{glob.escape(prefix)}*"):
        try:
            descriptor = _opened_folder(folder)
        except OSError:  # another user's, no folder, or gone
            continue
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use
        finally:
            os.close(descriptor)


def _opened_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def exchange(one: Path, other: Path) -> bool:
    """Let two paths of one file system change places at once; False where nothing can do that.

    renameat2(2) with RENAME_EXCHANGE, which network file systems often do not know.  Raises
    OSError.
    """
    import ctypes  # takes longer to load than all of this module

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    here = ctypes.c_int(-100)  # AT_FDCWD
    paths = (ctypes.c_char_p(os.fsencode(one)), ctypes.c_char_p(os.fsencode(other)))
    if rename(here, paths[0], here, paths[1], ctypes.c_uint(2)) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
        return False
    raise OSError(number, os.strerror(number), str(other))


def write_atomically(path: Path, data: bytes, mode: int = 0o644, *, sync: bool = True) -> None:
    """Write a file beside its name, bring it to the disk, and rename it; raises DiskError.

    sync: wait for the disk.  Without it the file may be damaged after the power failed, which
    is for what can be made anew, and whose readers know damage.
    """
    with written_beside(path.parent, f".{path.name}.", mode) as (out, beside):
        out.write(data)
        out.flush()
        if sync:
            os.fsync(out.fileno())
        beside.replace(path)


def read_pieces(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a stream piece by piece."""
    while piece := stream.read(PIECE):
        yield piece


def verify_file(path: Path, sha256: str, size: int) -> None:
    """Read a file whole and check it; raises IntegrityError or DiskError."""
    with disk_errors(path), path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
        length = stream.tell()
    if (found, length) != (sha256, size):
        raise IntegrityError(
            "the file is not the one that the lock names",
            where=str(path),
            details=(
                f"  locked: sha256 {sha256}, {size} bytes",
                f"  found:  sha256 {found}, {length} bytes",
            ),
            hint="remove the file; the next run fetches it anew",
        )
