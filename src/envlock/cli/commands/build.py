"""``envlock build``: from locks to proven images."""

from __future__ import annotations

import dataclasses
import os
import re
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.bundles import open_bundle
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.delivering import (
    Delivery,
    InsecureOption,
    LoadOption,
    PushOption,
    delivery,
    push_references,
)
from envlock.cli.output import megabytes
from envlock.cli.proof import prover, say_report
from envlock.errors import EnvlockError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.image.build import Workshop
    from envlock.lock.model import Lock
    from envlock.pipeline import Built, Expected


@command("build")
def build_command(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Environments; all of envs/ by default.", autocompletion=environments),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="An OCI layout, or FILE.tar. [default: build/NAME]"),
    ] = None,
    push: PushOption = None,
    load: LoadOption = None,
    insecure: InsecureOption = False,
    record: Annotated[
        bool, typer.Option("--record", help="Write the image's digest into the lock.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Make every layer anew and compare with the record.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", help="With --check: the image to compare with, where they differ."
        ),
    ] = None,
    no_validate: Annotated[
        bool, typer.Option("--no-validate", help="Publish without running the checks.")
    ] = False,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Run the gpu checks, too, on this machine's GPU.")
    ] = False,
    artifact_map: Annotated[
        Path | None,
        typer.Option("--artifact-map", help="JSON file: sha256 to local file.", dir_okay=False),
    ] = None,
    from_bundle: Annotated[
        Path | None,
        typer.Option("--from-bundle", help="Take lock and artifacts from FILE.tar, offline."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use local files only.")] = False,
    platform: Annotated[str | None, typer.Option(help="One of the locked platforms.")] = None,
    sbom: Annotated[
        bool, typer.Option("--sbom", help="Add bills of materials: CycloneDX and SPDX.")
    ] = False,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Add a SLSA statement of lock and image.")
    ] = False,
) -> None:
    """Build images from locks, prove them in a sandbox, publish them as OCI layouts."""
    state: Context = context.obj
    state.offline, state.insecure = offline, insecure
    if record and from_bundle is not None:
        raise UsageError("--record writes into a lock of the project, and the bundle has its own")
    bundled = open_bundle(state, from_bundle, names) if from_bundle is not None else None
    asked = [bundled.name] if bundled else list(names or state.project.names())
    if output is not None and len(asked) != 1:
        raise UsageError("-o names one place, but several environments are to be built")
    if output is not None:
        _check_output(output)
    if against is not None and not check:
        raise UsageError("--against names what --check compares with")
    if bundled is None and platform is None and push is not None and (output or load):
        _check_platforms(state, asked)
    if gpu and no_validate:
        raise UsageError("--gpu runs checks, and --no-validate leaves them out")
    references = push_references(push, asked)
    documents = []
    for name in asked:
        where = delivery(state, name, references.get(name), load, output)
        every = push is not None
        locks = [bundled] if bundled else _locks(state, name, platform, all_platforms=every)
        made = [
            _build(
                state,
                lock,
                output or state.project.image(name),
                where,
                artifact_map=artifact_map,
                record=record,
                expect=_expected(state, name, against) if check else None,
                validate=not no_validate,
                gpu=gpu,
                sbom=sbom,
                provenance=provenance,
            )
            for lock in locks
        ]
        where.finish(state)
        documents += [{**document, **where.told} for document in made]
    state.output.document({"images": documents})


def _expected(state: Context, name: str, against: Path | None) -> Expected:
    from envlock.pipeline import Expected

    return Expected(against=against, near=(state.project.image(name),))


def _locks(state: Context, name: str, platform: str | None, *, all_platforms: bool) -> list[Lock]:
    """Return the locks that are built: a registry's tag can name an image for each platform."""
    if platform is None and all_platforms:
        return [load_named(state, name, one) for one in state.project.locked_platforms(name)]
    return [load_named(state, name, platform)]


def _check_platforms(state: Context, names: list[str]) -> None:
    """Refuse to put the images of several platforms where one has room."""
    for name in names:
        if len(state.project.locked_platforms(name)) > 1:
            raise UsageError(
                f"{name} is locked for several platforms, and only a registry takes them all",
                hint="choose one for -o and --load: --platform linux-64",
            )


_PACKED = re.compile(r"(?i)\.(tar|tgz|tbz2?|txz|tzst|gz|bz2|xz|zst|lz4|zip|7z)$")


def _check_output(output: Path) -> None:
    """Refuse a name that promises another form than what would lie there."""
    if output.suffix != ".tar" and _PACKED.search(output.name):
        raise UsageError(
            "images are written as a folder or as FILE.tar",
            where=str(output),
            hint="the layers in it are compressed already",
        )


def load_named(state: Context, name: str, platform: str | None, *, verb: str = "builds") -> Lock:
    """Return the lock of an environment; warns where its spec has moved on."""
    from envlock.lock.check import differences
    from envlock.lock.codec import load_lock
    from envlock.spec.projection import project

    platforms = state.project.locked_platforms(name)
    chosen = platform or (platforms[0] if len(platforms) == 1 else "linux-64")
    if chosen not in platforms:
        raise UsageError(
            f"{name} is not locked for {chosen}", hint=f"it is for {', '.join(platforms)}"
        )
    if platform is None and len(platforms) > 1:
        state.output.message(
            f"{name} is locked for {' and '.join(platforms)}; this takes {chosen}, --platform "
            "chooses another"
        )
    lock = load_lock(state.project.lock(name, chosen))
    spec = state.optional_spec(name)
    if spec is not None and chosen in {target.name for target in spec.targets}:
        found = differences(project(spec, chosen), lock)
        if found:
            state.output.warn(
                f"{spec.file} has changed since it was locked ({len(found)} differences, the "
                f"first: {found[0]}); this {verb} the lock. envlock solve {name} renews it"
            )
    return lock


def _build(
    state: Context,
    lock: Lock,
    target: Path,
    where: Delivery,
    *,
    artifact_map: Path | None,
    record: bool,
    expect: Expected | None,
    validate: bool,
    gpu: bool,
    sbom: bool,
    provenance: bool,
) -> dict[str, Any]:
    from envlock.cli.documents import Papers
    from envlock.image.build import Workshop
    from envlock.image.layout import project_folder
    from envlock.pipeline import ProofError, build
    from envlock.workers import usable_cpus

    if expect is not None and lock.built is None:
        raise UsageError(
            f"the lock of {lock.name} has no recorded digest to compare with",
            hint=f"envlock build {lock.name} --record writes it",
        )
    complete = where.push.fetch if where.push else None
    anew = expect is not None
    prove = prover(state, lock, anew=anew, gpu=gpu, complete=complete) if validate else None
    workshop = Workshop(cache=state.config.cache_dir, workers=usable_cpus(), fresh=anew)
    started = time.monotonic()
    paths = _artifacts(state, lock, artifact_map, workshop)
    fetched = time.monotonic() - started
    if target == state.project.image(lock.name):
        project_folder(target.parent)
    created = _source_date_epoch()
    papers = Papers(lock, sbom=sbom, provenance=provenance, created=created, paths=paths)
    try:
        built = build(
            lock,
            paths,
            target.absolute(),
            workshop,
            state.output,
            prove=prove,
            expect=expect,
            created=created,
            about=papers.make,
            destinations=where.destinations,
            keep=where.keep,
        )
    except ProofError as error:
        say_report(state, error.report)
        raise
    if record:
        _record(state, lock, built)
    built = dataclasses.replace(built, seconds={"fetch": fetched, **built.seconds})
    written = papers.write_beside(target.absolute()) if where.keep else ()
    beside = [state.project.shown(path) for path in written]
    if beside:
        state.output.message(f"in the image's layout, and as files: {', '.join(beside)}")
    return _summary(state, lock, target if where.keep else None, built) | {"documents": beside}


def _artifacts(
    state: Context, lock: Lock, artifact_map: Path | None, workshop: Workshop
) -> dict[str, Path]:
    """Return the lock's artifacts by sha256, from the map first, then store and network.

    While the wheels come in, the Debian packages are packed: that is the slow part.
    """
    from envlock.image.mapping import read_artifact_map

    mapped = read_artifact_map(artifact_map) if artifact_map else {}
    paths = {a.sha256: mapped[a.sha256] for a in lock.artifacts if a.sha256 in mapped}
    rest = [artifact for artifact in lock.artifacts if artifact.sha256 not in paths]
    stored = {a.sha256: state.fetcher.store.get(a.sha256, a.size) for a in rest}
    paths |= {sha256: path for sha256, path in stored.items() if path is not None}
    missing = [artifact for artifact in rest if artifact.sha256 not in paths]
    if not missing:
        return paths
    locators = state.locators(lock, state.optional_spec(lock.name))
    debs = [artifact for artifact in missing if artifact.kind == "debian"]
    wheels = [artifact for artifact in missing if artifact.kind != "debian"]
    paths |= state.fetcher.all(debs, locators, state.output)
    with _meanwhile(state, lock, paths, workshop):
        paths |= state.fetcher.all(wheels, locators, state.output)
    return paths


@contextmanager
def _meanwhile(
    state: Context, lock: Lock, paths: dict[str, Path], workshop: Workshop
) -> Iterator[None]:
    """Pack the Debian packages beside the body; what goes wrong comes up in the build again."""
    from envlock.image.build import pack_packages

    stop = threading.Event()

    def pack() -> None:
        with suppress(EnvlockError, KeyboardInterrupt):
            pack_packages(lock, dict(paths), workshop, state.output, stop)

    thread = threading.Thread(target=pack)
    thread.start()
    try:
        yield
        thread.join()
    except BaseException:  # Ctrl-C above all
        stop.set()
        thread.join()
        raise


def _source_date_epoch() -> int:
    """Return SOURCE_DATE_EPOCH in seconds (reproducible-builds.org), 0 where it is not set."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 253402300800:
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
    if path.read_text() != text:
        write_atomically(path, text.encode())
        state.output.message(f"recorded in {state.project.shown(path)}")


def _summary(state: Context, lock: Lock, target: Path | None, built: Built) -> dict[str, Any]:
    if built.report is not None:
        say_report(state, built.report)
    else:
        state.output.warn(f"{lock.name} was not proven (--no-validate)")
    digests = built.digests
    shown = state.project.shown(target.absolute()) if target is not None else None
    times = ", ".join(f"{stage} {value:.1f} s" for stage, value in built.seconds.items())
    state.output.message(
        f"{lock.name} {lock.platform}: {len(digests.layers)} layers, {megabytes(digests.size)}"
        f"{f' -> {shown}' if shown else ''} ({times})"
    )
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
        "report": as_data(built.report) if built.report else None,
        "seconds": {stage: round(value, 3) for stage, value in built.seconds.items()},
    }
