"""Artifacts in a Nix store, at exactly the paths that a fetch by their sha256 would give.

A fixed-output path depends on a file's name and hash alone (Nix manual, "Store path
specification": ``fixed:out`` with flat hashing), not on where it came from.  An artifact that
is added under that name is therefore never fetched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from envlock.errors import EnvlockError, IntegrityError
from envlock.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from envlock.progress import Reporter

STORE = "/nix/store"
NAME_LIMIT = 180
"""Longest store name in characters that is given; Nix's own limit is 211."""

_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_REFUSED = re.compile(r"[^A-Za-z0-9+._?=-]")
_AT_ONCE = 256 * 1024 * 1024
_MANY = 64


class Seedable(Protocol):
    """An artifact, or a blob of a base image; size in bytes."""

    @property
    def file(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...


class NixError(EnvlockError):
    """Nix is not here, or refused."""


def store_name(file: str) -> str:
    """Return the name of a file in a Nix store; the same rule as ``storeName`` in nix/lib.nix."""
    name = _REFUSED.sub("_", file)
    return (f"_{name}" if name.startswith(".") else name)[-NAME_LIMIT:]


def store_path(name: str, sha256: str, store: str = STORE) -> str:
    """Return the path of a flat fixed-output file with a hexadecimal sha256."""
    inner = hashlib.sha256(f"fixed:out:sha256:{sha256}:".encode()).hexdigest()
    outer = hashlib.sha256(f"output:out:sha256:{inner}:{store}:{name}".encode()).digest()
    return f"{store}/{_base32(_folded(outer))}-{name}"


def _folded(digest: bytes, size: int = 20) -> bytes:
    """Shorten a hash as Nix does: by XOR of what is too long."""
    out = bytearray(size)
    for position, byte in enumerate(digest):
        out[position % size] ^= byte
    return bytes(out)


def _base32(data: bytes) -> str:
    """Return Nix's own base 32: other letters, and from the last digit on."""
    number = int.from_bytes(data, "little")
    digits = (len(data) * 8 - 1) // 5 + 1
    return "".join(_ALPHABET[number >> (5 * place) & 31] for place in reversed(range(digits)))


def seed(
    artifacts: Sequence[Seedable],
    paths: Mapping[str, Path],
    reporter: Reporter,
    *,
    store: str | None = None,
    scratch: Path,
) -> int:
    """Add artifacts to a Nix store and return how many were not there.

    paths: local files by sha256; store: a store URL as ``nix --store`` takes it, None for the
    machine's; scratch: a folder for links, best on the files' own disk.  Raises NixError, and
    IntegrityError if a file is not what the lock names.
    """
    wanted = {store_path(store_name(a.file), a.sha256): a for a in artifacts}
    missing = _invalid(list(wanted), store)
    with reporter.task(
        "into the Nix store", sum(wanted[path].size for path in missing), "bytes"
    ) as task:
        for batch in _batches(missing, wanted):
            with _named(batch, wanted, paths, scratch) as files:
                found = _nix_store(["--add-fixed", "sha256", *map(str, files)], store)
            for path, added in zip(batch, found.split(), strict=True):
                if added != path:
                    raise IntegrityError(
                        f"{wanted[path].file} is not the file that the lock names",
                        details=(f"  expected: {path}", f"  added:    {added}"),
                        hint="remove it from the cache and fetch it anew",
                    )
            task.advance(sum(wanted[path].size for path in batch))
    return len(missing)


def _invalid(paths: Sequence[str], store: str | None) -> list[str]:
    """Return the paths that the store lacks."""
    found: list[str] = []
    for start in range(0, len(paths), 1000):
        some = paths[start : start + 1000]
        said = _nix_store(["--check-validity", "--print-invalid", *some], store)
        lacking = set(said.split())
        found += [path for path in some if path in lacking]
    return found


def _batches(paths: Sequence[str], wanted: Mapping[str, Seedable]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for path in paths:
        if batch and (size + wanted[path].size > _AT_ONCE or len(batch) == _MANY):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += wanted[path].size
    if batch:
        yield batch


@contextlib.contextmanager
def _named(
    batch: Sequence[str],
    wanted: Mapping[str, Seedable],
    paths: Mapping[str, Path],
    scratch: Path,
) -> Iterator[list[Path]]:
    """Give the files the names that Nix is to see; each in a folder, as names may repeat."""
    with disk_errors(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".nix-seed-", dir=scratch)
    with folder as root:
        files = []
        for number, path in enumerate(batch):
            artifact = wanted[path]
            file = Path(root) / str(number) / store_name(artifact.file)
            with disk_errors(file):
                file.parent.mkdir()
                try:
                    os.link(paths[artifact.sha256], file)
                except OSError:
                    shutil.copyfile(paths[artifact.sha256], file)
            files.append(file)
        yield files


def find_nix() -> str:
    """Return the path of the machine's ``nix-store``; raises NixError where there is none."""
    program = shutil.which("nix-store")
    if program is None:
        raise NixError(
            "there is no nix-store on this machine",
            hint="install Nix (Debian: nix-bin), or run this where it is",
        )
    return program


def _nix_store(words: Sequence[str], store: str | None) -> str:
    option = ["--option", "store", store] if store else []
    done = subprocess.run(
        [find_nix(), *option, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NixError(
            "nix-store failed",
            details=[f"  {line}" for line in done.stderr.strip().splitlines()[-5:]],
        )
    return done.stdout
