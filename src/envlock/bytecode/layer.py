"""Compiled modules on top of an image: made by its own Python in the sandbox.

The bytes are a function of the layers below, whose Python compiles, and of the encoder.  What the
image's Python writes is read as something that an enemy may have written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.bytecode.apart import divide, keep_wheels, lay_out, roots
from envlock.bytecode.compiling import Compiler
from envlock.bytecode.records import contents, in_order, records
from envlock.files import disk_errors
from envlock.image.append import append_layer
from envlock.image.known import (
    recall_digests,
    recorded_layers,
    recorded_on_top,
    remember_digests,
)
from envlock.image.packing import SEGMENTS
from envlock.image.places import taken_over
from envlock.image.pool import WORTH, packing_pool
from envlock.layers.blobs import layer_blob
from envlock.layers.entry import regular
from envlock.layers.gzipstream import Known
from envlock.layers.plan import COMPILED, scheme_of
from envlock.layers.writer import LayerWriter
from envlock.lock.model import PACKER
from envlock.sizes import counted
from envlock.validate.layout import open_layout
from envlock.validate.rootfs import prepare_rootfs
from envlock.validate.sandbox import Bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from envlock.bytecode.apart import Division, Piece
    from envlock.image.build import Workshop
    from envlock.image.layout import ImageDigests, Staging
    from envlock.layers.gzipstream import StreamDigests
    from envlock.limits import Limits
    from envlock.lock.model import Lock
    from envlock.progress import Reporter
    from envlock.validate.layout import Image, Layer
    from envlock.validate.sandbox import Sandbox

VERSION = 1
"""What is compiled, and how; part of what names a layer that is known.

Locks record these layers: another version is another PACKER.
"""


def add_bytecode(
    lock: Lock,
    paths: Mapping[str, Path],
    place: Staging,
    digests: ImageDigests,
    workshop: Workshop,
    reporter: Reporter,
    sandbox: Callable[[], Sandbox],
    limits: Limits,
) -> ImageDigests:
    """Add a layer of compiled modules to the image in ``place``.

    A layer that an earlier build made on top of the same ones is taken over, and so is the one
    that the lock records on top of these, out of a team's cache for instance.  Raises SandboxError
    where the image's Python cannot run here, ArtifactError, IntegrityError, DiskError.
    """
    key = _key(place)
    known = None if workshop.fresh else _known(lock, digests, workshop, key)
    if known is not None and taken_over(workshop, place, known):
        return append_layer(place, digests, known.digests, COMPILED)
    made = _made(lock, paths, place, workshop, reporter, sandbox(), limits)
    remember_digests(workshop.cache, key, made)
    return append_layer(place, digests, made, COMPILED)


def _known(lock: Lock, below: ImageDigests, workshop: Workshop, key: str) -> Known | None:
    """Return what the layer will be: as it was made here, else as the lock records it."""
    seen = recall_digests(workshop.cache, key)
    if seen is not None:
        return Known(digests=seen, seen_here=True)
    recorded = recorded_on_top(lock)
    under = [layer.diff_id for layer in recorded_layers(lock)]
    if recorded is None or under != [layer.diff_id for layer in below.layers]:
        return None
    return Known(digests=recorded, seen_here=False)


def _key(place: Staging) -> str:
    below = [layer.diff_id for layer in open_layout(place.folder).layers]
    inputs = ["bytecode", VERSION, PACKER, below]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Making:
    """One layer in the making; store: where pieces are kept, scratch: gone afterwards."""

    lock: Lock
    paths: Mapping[str, Path]
    image: Image
    workshop: Workshop
    reporter: Reporter
    compiler: Compiler
    store: Path
    scratch: Path

    def files(self, pool: Executor) -> list[Path]:
        """Return files that hold all compiled modules between them."""
        division = divide(self.lock, self.image.layers, VERSION)
        if division is None:
            return self._whole()
        pieces = [division.base, *division.wheels]
        known = {} if self.workshop.fresh else {one: one.known(self.store) for one in pieces}
        found = {piece: file for piece, file in known.items() if file is not None}
        missing = [piece for piece in pieces if piece not in found]
        if any(one.wheel and one.wheel.sha256 not in self.paths for one in missing):
            return self._whole()  # a registry had the layers, and the wheels were not fetched
        if missing:
            found |= self._apart(division, missing, pool)
        return [found[piece] for piece in pieces]

    def _whole(self) -> list[Path]:
        rootfs = self._rootfs(self.image.layers)
        with self.reporter.task("compiling modules"):
            return self.compiler.run(rootfs, roots(self.lock), self._folder("whole"))

    def _apart(
        self, division: Division, missing: Sequence[Piece], pool: Executor
    ) -> dict[Piece, Path]:
        """Compile what lies below the wheels, if that is missing, and wheels."""
        sources = self._folder("sources")
        laying = {
            one: pool.submit(
                lay_out, one.wheel, self.paths[one.wheel.sha256], division.scheme, sources
            )
            for one in missing
            if one.wheel is not None
        }
        rootfs = self._rootfs(division.below)
        compiler = dataclasses.replace(self.compiler, python=division.python)
        found: dict[Piece, Path] = {}
        with self.reporter.task(f"compiling modules of {counted(len(missing), 'package')}"):
            if division.base in missing:
                outs = compiler.run(rootfs, roots(self.lock), self._folder("base"))
                of_base = [record for out in outs for record in records(out)]
                found[division.base] = division.base.keep(self.store, of_base)
            laid_out = {piece: done.result() for piece, done in laying.items()}
            if laid_out:
                site = f"/{division.scheme.site_packages}"
                bind = Bind(source=sources, target=site)
                outs = compiler.run(rootfs, (site,), self._folder("wheels"), (bind,))
                found |= keep_wheels(laid_out, outs, site, self.store)
        return found

    def _rootfs(self, layers: Sequence[Layer]) -> Path:
        image = dataclasses.replace(self.image, layers=tuple(layers))
        return prepare_rootfs(image, cache=self.workshop.cache, reporter=self.reporter)

    def _folder(self, name: str) -> Path:
        folder = self.scratch / name
        folder.mkdir()
        return folder


def _made(
    lock: Lock,
    paths: Mapping[str, Path],
    place: Staging,
    workshop: Workshop,
    reporter: Reporter,
    sandbox: Sandbox,
    limits: Limits,
) -> StreamDigests:
    image = open_layout(place.folder)
    with (
        _scratch(workshop.cache / SEGMENTS) as scratch,
        packing_pool(workshop.workers, WORTH, encoding=workshop.encoding) as pool,
    ):
        making = _Making(
            lock=lock,
            paths=paths,
            image=image,
            workshop=workshop,
            reporter=reporter,
            compiler=Compiler(
                config=image.config, sandbox=sandbox, limits=limits, workers=workshop.workers
            ),
            store=scratch if workshop.fresh else workshop.cache / SEGMENTS,
            scratch=scratch,
        )
        files = making.files(pool)
        amount = sum(file.stat().st_size for file in files)
        with reporter.task("packing compiled modules", amount, "bytes") as task:
            site = f"/{scheme_of(lock).site_packages}"
            done = pool.submit(pack_bytecode, files, place.blobs, site, workshop.workers).result()
            task.advance(amount)
    return done


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield an empty folder in ``folder``; what a killed run left goes when the cache is pruned."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(prefix=".compiling-", dir=folder)
    with place as scratch:
        yield Path(scratch)


def pack_bytecode(
    compiled: Sequence[Path], blobs: Path, site: str, threads: int = 1
) -> StreamDigests:
    """Write the layer of what the image's Python wrote to the files ``compiled``.

    site: the folder of the image whose modules come first; threads: that compress.  A module
    that several files have is written once, where they agree.
    """
    found = in_order((record for file in compiled for record in records(file)), site)
    with layer_blob(blobs) as (out, done), ThreadPoolExecutor(threads) as helpers:
        writer, before = LayerWriter(out, helpers=helpers), ("", b"")
        for record, data in contents(found):
            if (record.path, data) != before:
                writer.add(regular(record.path.lstrip("/"), data))
            before = (record.path, data)
        done.append(writer.finish())
    return done[0]
