"""The folder of an environment: whose it is, and how its content is exchanged at once."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.errors import DiskError, LockError, UsageError
from envlock.files import disk_errors, exchange, locked, write_atomically
from envlock.lock.codec import dump_lock, parse_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from envlock.lock.model import Lock

MARKER = ".envlock.json"
"""The file by which an environment of envlock is known."""

FORMAT = 1

_OLD = "old"
"""Where the predecessor of an environment lies between the two steps of its exchange."""

_UNFIT = re.compile(r"[\x00-\x1f\x7f:'\"\\$`]")
"""Characters that PATH, a shell or a ``#!`` line would take for something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What an environment says of itself.

    python: prefix of the interpreter that it uses and does not contain, None where it is
    inside; env: variables that its packages want to be set.
    """

    lock: Lock
    python: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)


def read_marker(prefix: Path) -> Marker:
    """Return what the environment at ``prefix`` says of itself; raises UsageError, LockError."""
    path = prefix / MARKER
    try:
        value = json.loads(path.read_text("utf-8"))
        if value["format"] != FORMAT:
            raise LockError(
                f"it has format {value['format']!r}; this envlock reads {FORMAT}", where=str(path)
            )
        return Marker(
            lock=parse_lock(value["lock"], str(path)),
            python=value["python"],
            env=dict(value["env"]),
        )
    except FileNotFoundError:
        raise UsageError(
            "this is no environment that envlock installed", where=str(prefix)
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LockError(f"it cannot be read: {error}", where=str(path)) from None


def write_marker(folder: Path, marker: Marker) -> None:
    """Write the marker into a folder; raises DiskError."""
    value = {
        "format": FORMAT,
        "lock": dump_lock(marker.lock),
        "python": marker.python,
        "env": dict(marker.env),
    }
    text = json.dumps(value, indent=1, sort_keys=True)
    write_atomically(folder / MARKER, f"{text}\n".encode())


def check_prefix(prefix: Path) -> Path:
    """Return the place of an environment as an absolute path; raises UsageError.

    It is free, empty, or an environment of envlock's own; anything else is never touched.
    """
    place = Path(os.path.abspath(prefix))  # noqa: PTH100 - links stay what they are
    unfit = _UNFIT.search(str(place))
    if unfit or not str(place).isprintable():
        raise UsageError(
            f"an environment cannot lie at {str(place)!r}",
            hint="its path goes into scripts and PATH: choose one without quotes, colons, $ "
            "and backslashes",
        )
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise UsageError("this is there already, and is no folder", where=str(place))
    if place.exists() and not (place / MARKER).is_file() and any(place.iterdir()):
        raise UsageError(
            "this folder is not empty, and envlock did not make it",
            where=str(place),
            hint="name a new folder with --prefix, or empty this one",
        )
    return place


@contextlib.contextmanager
def staging(prefix: Path) -> Iterator[Path]:
    """Hold a folder beside ``prefix``, where its next content is made; ``prefix`` exists then.

    Waits for another installation into the same place.  Raises DiskError.
    """
    stem = f".{prefix.name}.installing"
    with locked(prefix.parent / f"{stem}-lock"):
        for left in prefix.parent.glob(f"{glob.escape(stem)}.*"):
            if (left / _OLD / MARKER).is_file() and not prefix.exists():
                with disk_errors(prefix):  # killed between the two steps of publish
                    (left / _OLD).rename(prefix)
            shutil.rmtree(left, ignore_errors=True)
        made = not prefix.exists()
        with disk_errors(prefix):
            prefix.mkdir(exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{stem}.", dir=prefix.parent))
        try:
            root = folder / "root"
            root.mkdir()
            yield root
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if made:
                with contextlib.suppress(OSError):  # it stays unless it is still empty
                    prefix.rmdir()


def publish(root: Path, prefix: Path) -> None:
    """Give a finished environment its place; what was there is removed.  Raises DiskError.

    At once where the file system can, so that there is an environment at any moment; else in two
    steps, and :func:`staging` mends what is killed between them.
    """
    old = root.with_name(_OLD)
    with disk_errors(prefix):
        if exchange(root, prefix):
            old = root
        else:
            prefix.rename(old)
            try:
                root.rename(prefix)
            except OSError:
                old.rename(prefix)
                raise
    try:
        shutil.rmtree(old)
    except OSError as error:
        raise DiskError(
            f"the environment is there, but its predecessor cannot be removed: {error}",
            where=str(old),
        ) from error
