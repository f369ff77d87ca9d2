"""Compiled modules on top of an image: made by its own Python in the sandbox.

The bytes are a function of the layers below, whose Python compiles, and of the encoder.  What the
image's Python writes is read as something that an enemy may have written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from envlock.errors import ArtifactError
from envlock.files import disk_errors
from envlock.image.append import append_layer
from envlock.image.known import (
    recall_digests,
    recorded_layers,
    recorded_on_top,
    remember_digests,
)
from envlock.image.places import taken_over
from envlock.image.pool import packing_pool
from envlock.layers.blobs import layer_blob
from envlock.layers.entry import regular
from envlock.layers.gzipstream import Known
from envlock.layers.plan import COMPILED, scheme_of
from envlock.layers.writer import LayerWriter
from envlock.lock.model import PACKER
from envlock.validate.inside import enter
from envlock.validate.layout import open_layout
from envlock.validate.lookup import require_runnable
from envlock.validate.rootfs import prepare_rootfs
from envlock.validate.sandbox import Bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from envlock.image.build import Workshop
    from envlock.image.layout import ImageDigests, Staging
    from envlock.layers.gzipstream import StreamDigests
    from envlock.limits import Limits
    from envlock.lock.model import Lock
    from envlock.progress import Reporter
    from envlock.validate.sandbox import Sandbox

VERSION = 1
"""What is compiled, and how; part of what names a layer that is known.

Locks record these layers: another version is another PACKER.
"""

_OUT = "/tmp/compiled"  # noqa: S108 - inside
_SHARES = 16
"""Processes that compile, as many at once as there are workers; what each is given is fixed."""
_OTHERS = 4
"""Processes of the sandbox's own that count towards the limit, and some to spare."""
_PYC = re.compile(r"/(?:[^/\0]+/)+__pycache__/[^/\0]+\.pyc")
_LONGEST_PATH = 4096
_LARGEST_MODULE = 256 * 1024 * 1024


def add_bytecode(
    lock: Lock,
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
    made = _made(lock, place, workshop, reporter, sandbox(), limits)
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


def _made(
    lock: Lock,
    place: Staging,
    workshop: Workshop,
    reporter: Reporter,
    sandbox: Sandbox,
    limits: Limits,
) -> StreamDigests:
    with tempfile.TemporaryDirectory(prefix="envlock-bytecode-") as folder:
        outs = [Path(folder) / f"compiled-{share}" for share in range(_SHARES)]
        for out in outs:
            out.touch()
            out.chmod(0o666)  # whoever the image's user is
        _compile(lock, place.folder, outs, workshop, reporter, sandbox, limits)
        amount = sum(out.stat().st_size for out in outs)
        with (
            reporter.task("packing compiled modules", amount, "bytes") as task,
            packing_pool(1, amount) as pool,
        ):
            done = pool.submit(pack_bytecode, outs, place.blobs).result()
            task.advance(amount)
    return done


def _compile(
    lock: Lock,
    layout: Path,
    outs: Sequence[Path],
    workshop: Workshop,
    reporter: Reporter,
    sandbox: Sandbox,
    limits: Limits,
) -> None:
    """Let the image's Python write what it compiles to the files ``outs``."""
    image = open_layout(layout)
    rootfs = prepare_rootfs(image, cache=workshop.cache, reporter=reporter)
    inside = enter(rootfs, image.config, sandbox, limits=dataclasses.replace(limits, seconds=None))
    require_runnable(
        inside,
        image.config.architecture,
        hint="its own Python compiles (image.precompile): build on such a machine, or without it",
    )
    inside = dataclasses.replace(
        inside,
        env={"PATH": inside.env["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    script = resources.files("envlock.bytecode").joinpath("inside.py").read_text("utf-8")
    library = () if lock.base is not None else ("stdlib",)  # a base image stays as it is
    binds = tuple(
        Bind(source=out, target=f"{_OUT}-{share}", writable=True) for share, out in enumerate(outs)
    )
    room = len(outs) if limits.processes is None else limits.processes - _OTHERS
    jobs = str(max(1, min(workshop.workers, len(outs), room)))
    roots = (f"/{scheme_of(lock).site_packages}", *library)
    argv = ("python3", "-S", "-c", script, jobs, *(bind.target for bind in binds), "--", *roots)
    with reporter.task("compiling modules"):
        done = inside.run(argv, binds=binds)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").splitlines()[-5:]
        raise ArtifactError(
            "the image's Python could not compile the modules",
            details=[f"  {line}" for line in said],
            hint="leave image.precompile out, or see what python3 in the image lacks",
        )


def pack_bytecode(compiled: Sequence[Path], blobs: Path) -> StreamDigests:
    """Write the layer of what the image's Python wrote to the files ``compiled``."""
    with layer_blob(blobs) as (out, done):
        writer = LayerWriter(out)
        for file in compiled:
            with disk_errors(file), file.open("rb") as stream:
                for path, data in _read(stream):
                    if not _PYC.fullmatch(path) or {".", ".."} & set(path.split("/")):
                        raise ArtifactError(f"the image's Python wrote a module to {path!r}")
                    writer.add(regular(path.lstrip("/"), data))
        done.append(writer.finish())
    return done[0]


def _read(stream: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Yield paths and contents; raises ArtifactError for what is cut off or absurdly long."""
    while head := stream.read(8):
        path, size = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
        if len(head) == 8 and path <= _LONGEST_PATH and size <= _LARGEST_MODULE:
            name, data = stream.read(path), stream.read(size)
            if len(data) == size:
                yield name.decode("utf-8", "surrogateescape"), data
                continue
        raise ArtifactError("what the image's Python compiled is damaged")
