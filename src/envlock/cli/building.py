"""One lock to one image, as ``envlock build`` is told to: made, proven, recorded, told."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING, Any

from envlock.cli.artifacts import obtain
from envlock.cli.layercache import NOTHING, Taken, keeper, take
from envlock.cli.proof import prover, sandbox, say_report
from envlock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from envlock.cli.context import Context
    from envlock.cli.delivering import Delivery
    from envlock.cli.documents import Papers
    from envlock.delivery.layercache import LayerCache
    from envlock.image.build import Workshop
    from envlock.image.compression import Compression
    from envlock.image.layout import ImageDigests, Staging
    from envlock.image.linked import Linker
    from envlock.image.pool import Encoding
    from envlock.lock.model import Lock
    from envlock.pipeline import Built, Expected, Publishing


def _encoding() -> Encoding:
    from envlock.image.pool import Encoding

    return Encoding()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of each image of a build, whichever it is.

    ``cache_from`` and ``cache_to`` are where layers are taken from and put.
    ``check`` makes everything anew and compares with the record, and with the image
    ``against`` where they differ; ``gpu`` runs the checks that need one, too;
    ``compression`` is of the layers that are published; ``encoding`` adds up what all builds
    have to encode.
    """

    artifact_map: Path | None = None
    record: bool = False
    check: bool = False
    against: Path | None = None
    validate: bool = True
    gpu: bool = False
    sbom: bool = False
    provenance: bool = False
    compression: Compression = "reuse"
    cache_from: LayerCache | None = None
    cache_to: LayerCache | None = None
    encoding: Encoding = dataclasses.field(default_factory=_encoding)


def build_image(
    state: Context, lock: Lock, target: Path, where: Delivery, order: Order
) -> dict[str, Any]:
    """Build the image of a lock and return what there is to tell; raises EnvlockError.

    The image comes to ``target`` and to where the delivery says, or nowhere: nothing is
    published before its checks have passed.
    """
    from envlock.cli.documents import Papers
    from envlock.image.build import Workshop
    from envlock.image.layout import project_folder
    from envlock.workers import usable_cpus

    if order.check and lock.built is None:
        raise UsageError(
            f"the lock of {lock.name} has no recorded digest to compare with",
            hint=f"envlock build {lock.name} --record writes it",
        )
    started = time.monotonic()
    taken = _from_cache(state, lock, where, order)
    workshop = Workshop(
        cache=state.cache,
        workers=usable_cpus(),
        fresh=order.check,
        layers=taken.layers,
        told=taken.told,
        config=taken.config,
        encoding=order.encoding,
    )
    paths = obtain(state, lock, order.artifact_map, workshop, taken.unneeded)
    fetched = time.monotonic() - started
    if target == state.project.image(lock.name, lock.platform):
        project_folder(target.parent)
    papers = Papers(
        lock,
        sbom=order.sbom,
        provenance=order.provenance,
        created=_source_date_epoch(),
        paths=paths,
    )
    keep = keeper(state, order.cache_to, lock, taken) if order.cache_to else None
    built = _built(state, papers, target.absolute(), where, order, workshop, keep)
    if order.record:
        _record(state, lock, built)
    built = dataclasses.replace(built, seconds={"fetch": fetched, **built.seconds})
    written = papers.write_beside(target.absolute()) if where.keep else ()
    beside = [state.project.shown(path) for path in written]
    if beside:
        state.output.message(f"in the image's layout, and as files: {', '.join(beside)}")
    kept = target if where.keep else None
    return _summary(state, lock, kept, built, recorded=order.record) | {"documents": beside}


def _built(
    state: Context,
    papers: Papers,
    target: Path,
    where: Delivery,
    order: Order,
    workshop: Workshop,
    keep_layers: Callable[[Staging, ImageDigests], None] | None,
) -> Built:
    """Run the pipeline; the report of a failed proof is shown before its error goes up."""
    from envlock.pipeline import ProofError, Running, build

    lock = papers.lock
    complete = where.push.fetch if where.push else None
    prove = None
    if order.validate:
        prove = prover(state, lock, anew=order.check, gpu=order.gpu, complete=complete)
    try:
        return build(
            lock,
            papers.paths,
            target,
            workshop,
            state.output,
            prove=prove,
            expect=_expected(state, lock, order),
            created=papers.created,
            publishing=dataclasses.replace(
                _publishing(where, order), keep_layers=keep_layers, about=papers.make
            ),
            running=Running(
                link=_linker(state, papers), sandbox=sandbox, limits=state.config.checks
            ),
        )
    except ProofError as error:
        say_report(state, error.report)
        raise


def _from_cache(state: Context, lock: Lock, where: Delivery, order: Order) -> Taken:
    """Take what a team's cache has; bills of materials need the wheels themselves."""
    if order.cache_from is None:
        return NOTHING
    only = _publishing(where, order).only(lock)
    taken = take(
        state,
        order.cache_from,
        lock,
        trusting=not order.record,
        elsewhere=only.has if only is not None else None,
    )
    if order.sbom:
        return dataclasses.replace(taken, unneeded=frozenset(), config=None)
    return taken


def _publishing(where: Delivery, order: Order) -> Publishing:
    from envlock.pipeline import Publishing

    return Publishing(
        destinations=where.destinations, keep=where.keep, compression=order.compression
    )


def _linker(state: Context, papers: Papers) -> Linker | None:
    """Return what runs post-link scripts; None, and nothing loaded, where there are none."""
    from envlock.lock.linking import scripts_to_run

    if not scripts_to_run(papers.lock):
        return None
    from envlock.validate.linking import linker

    return linker(papers.lock, papers.paths, sandbox, state.output, state.config.checks)


def _expected(state: Context, lock: Lock, order: Order) -> Expected | None:
    from envlock.pipeline import Expected

    if not order.check:
        return None
    return Expected(against=order.against, near=(state.project.image(lock.name, lock.platform),))


def _source_date_epoch() -> int:
    """Return SOURCE_DATE_EPOCH in seconds (reproducible-builds.org), 0 where it is not set."""
    from envlock.image.config import LATEST

    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= LATEST:
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}, which is no number of seconds")
    return value


def _record(state: Context, lock: Lock, built: Built) -> None:
    from envlock.files import write_atomically
    from envlock.lock.codec import dump_lock
    from envlock.lock.model import BuiltImage, BuiltLayer

    digests = BuiltImage(
        manifest=built.digests.manifest,
        config=built.digests.config,
        layers=tuple(BuiltLayer(**dataclasses.asdict(item)) for item in built.digests.layers),
    )
    path = state.project.lock(lock.name, lock.platform)
    text = dump_lock(dataclasses.replace(lock, built=digests))
    if path.read_text("utf-8") != text:
        write_atomically(path, text.encode())
        state.output.message(f"recorded in {state.project.shown(path)}")


def _by_path(shown: str | None) -> str | None:
    """Return a path so that no command takes it for an environment's name."""
    return shown if shown is None or "/" in shown else f"./{shown}"


def _summary(
    state: Context, lock: Lock, target: Path | None, built: Built, *, recorded: bool
) -> dict[str, Any]:
    from envlock.cli.summary import summary_data, summary_lines

    if built.report is not None:
        say_report(state, built.report)
    else:
        state.output.warn(f"{lock.name} was not proven (--no-validate)")
    digests = built.digests
    shown = state.project.shown(target.absolute()) if target is not None else None
    home = target is not None and target == state.project.image(lock.name)
    for line in summary_lines(
        lock, built, shown, recorded=recorded, image=lock.name if home else _by_path(shown)
    ):
        state.output.message(line)
    state.output.result(digests.manifest)
    from envlock.validate.report import as_data

    return {
        "name": lock.name,
        "platform": lock.platform,
        "output": shown,
        "manifest": digests.manifest,
        "config": digests.config,
        "bytes": digests.size,
        "layers": [{"digest": item.digest, "bytes": item.size} for item in digests.layers],
        **summary_data(lock, built),
        "report": as_data(built.report) if built.report else None,
        "seconds": {stage: round(value, 3) for stage, value in built.seconds.items()},
    }
