"""Modules that are compiled wheel by wheel, and kept for the next image with the same Python.

What a module becomes is a function of its source, its path and the Python that compiles it, so
its wheel is compiled once, whatever else an image has.  Only the layers below the wheels are
unpacked: the sources are read out of the wheels.

That holds for Python since 3.11.  Before, ``marshal`` noted of each name whether anything else in
the process had it as well (FLAG_REF of ``Python/marshal.c``), so that what had been compiled
before left its traces; there the image is compiled as a whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections import defaultdict
from typing import TYPE_CHECKING

from envlock.bytecode.compiling import STANDARD_LIBRARY
from envlock.bytecode.records import contents, records
from envlock.errors import DiskError, IntegrityError
from envlock.files import disk_errors, verify_file, write_atomically, written_beside
from envlock.layers.blobs import verified
from envlock.layers.pack import installed_entries
from envlock.layers.plan import plan_layers, scheme_of
from envlock.leases import used
from envlock.lock.model import PACKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from envlock.bytecode.records import Record
    from envlock.layers.scheme import Scheme
    from envlock.lock.model import Artifact, Lock
    from envlock.validate.layout import Layer

PYTHONS = frozenset({"3.11", "3.12", "3.13"})
"""Those of which it was tried that a module's bytes do not depend on the others."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The compiled modules of one wheel, or, where it is None, of all that lies below wheels."""

    key: str
    wheel: Artifact | None = None

    def known(self, folder: Path) -> Path | None:
        """Return the file in which ``folder`` has the modules, if it has them."""
        file = self._file(folder)
        note = file.with_suffix(".json")
        if not (used(file) and used(note)):
            return None
        try:
            written = json.loads(note.read_text())
            verify_file(file, written["sha256"], written["size"])
        except (OSError, ValueError, KeyError, TypeError, IntegrityError, DiskError):
            return None
        return file

    def keep(self, folder: Path, found: Iterable[Record]) -> Path:
        """Write the modules to ``folder``; raises DiskError."""
        file, digest, size = self._file(folder), hashlib.sha256(), 0
        with written_beside(folder, ".segment-") as (out, beside):
            for record, data in contents(found):
                for part in (record.head(), data):
                    digest.update(part)
                    size += out.write(part)
            out.flush()
            beside.replace(file)
        note = {"sha256": digest.hexdigest(), "size": size}
        write_atomically(file.with_suffix(".json"), json.dumps(note).encode())
        return file

    def _file(self, folder: Path) -> Path:
        return folder / f"{PACKER}-{self.key}.pyc"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """An image in pieces: ``below`` are the layers under the wheels, whose ``python`` compiles."""

    below: tuple[Layer, ...]
    base: Piece
    wheels: tuple[Piece, ...]
    scheme: Scheme
    python: str


def divide(lock: Lock, layers: Sequence[Layer], version: int) -> Division | None:
    """Return the pieces of an image, None where it has to be compiled as a whole.

    layers: all of the image so far, lowest first; version: of how modules are compiled.
    """
    plans = plan_layers(lock)
    linked = any(plan.kind == "linked" for plan in plans)  # scripts may change what wheels bring
    if lock.python not in PYTHONS or linked:
        return None
    under = len(layers) - len(plans)
    own = [plan.kind in {"os", "conda"} for plan in plans]
    below = [*layers[:under], *itertools.compress(layers[under:], own)]
    scheme = scheme_of(lock)
    made_by = [version, PACKER, [layer.diff_id for layer in below], lock.base is not None,
               dataclasses.astuple(scheme)]  # fmt: skip
    folder = dict(plans[-1].settings).get("interpreter")
    return Division(
        below=tuple(below),
        base=Piece(key=_digest(made_by)),
        wheels=tuple(
            Piece(key=_digest([*made_by, wheel.sha256, *wheel.clobbered]), wheel=wheel)
            for wheel in lock.of_kind("pypi")
        ),
        scheme=scheme,
        python=f"{folder}/python{lock.python}" if folder else "python3",
    )


def _digest(inputs: list[object]) -> str:
    return hashlib.sha256(json.dumps(["bytecode", *inputs]).encode()).hexdigest()


def roots(lock: Lock) -> tuple[str, ...]:
    """Return the folders of an image whose modules are compiled; its base stays as it is."""
    library = () if lock.base is not None else (STANDARD_LIBRARY,)
    return (f"/{scheme_of(lock).site_packages}", *library)


def lay_out(wheel: Artifact, path: Path, scheme: Scheme, folder: Path) -> list[str]:
    """Write the modules of a wheel below ``folder``, and return their paths there.

    Raises IntegrityError, ArtifactError, DiskError.
    """
    site, found = f"{scheme.site_packages}/", []
    with verified(path, wheel) as archive, disk_errors(folder):
        for entry in installed_entries(path, archive, scheme, wheel):
            if entry.path.startswith(site) and entry.path.endswith(".py") and entry.content:
                name = entry.path.removeprefix(site)
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(entry.content.read())
                found.append(name)
    return found


def keep_wheels(
    laid_out: Mapping[Piece, Sequence[str]], outs: Iterable[Path], site: str, folder: Path
) -> dict[Piece, Path]:
    """Write each wheel's compiled modules to a file of its own in ``folder``.

    laid_out: the paths of modules by wheel; outs: what was compiled of all of them in ``site``.
    A module that several wheels have is each one's.
    """
    owners = defaultdict(list)
    for piece, names in laid_out.items():
        for name in names:
            owners[f"{site}/{name}"].append(piece)
    found: dict[Piece, list[Record]] = {piece: [] for piece in laid_out}
    for out in outs:
        for record in records(out):
            for piece in owners.get(record.source, ()):
                found[piece].append(record)
    return {piece: piece.keep(folder, some) for piece, some in found.items()}
