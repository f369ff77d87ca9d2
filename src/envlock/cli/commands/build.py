"""``envlock build``: from locks to proven images."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.building import Order, build_image
from envlock.cli.bundles import open_bundle
from envlock.cli.context import Context
from envlock.cli.delivering import (
    InsecureOption,
    LoadOption,
    PushOption,
    delivery,
    push_references,
)
from envlock.cli.layercache import CacheFromOption, CacheToOption, open_cache
from envlock.cli.locks import check_one_platform, load_all
from envlock.cli.many import check_all, each, tell_built
from envlock.cli.options import (
    AllOption,
    ArtifactMapOption,
    NamesArgument,
    OfflineOption,
    PlatformOption,
)
from envlock.cli.proof import require_provable
from envlock.errors import UsageError

if TYPE_CHECKING:
    from envlock.cli.delivering import Engine
    from envlock.lock.model import Lock


class _Compression(Enum):
    REUSE = "reuse"
    GZIP = "gzip"
    ZSTD = "zstd"
    NONE = "none"


_Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR|FILE.tar",
        help="Where the image goes, as an OCI layout or a tar of one. [default: build/NAME]",
    ),
]
_Record = Annotated[bool, typer.Option("--record", help="Write the image's digest into the lock.")]
_Check = Annotated[
    bool, typer.Option("--check", help="Make every layer anew and compare with the record.")
]
_Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        metavar="IMAGE",
        help="With --check: the image to compare with, where they differ.",
    ),
]
_NoValidate = Annotated[
    bool, typer.Option("--no-validate", help="Publish without running the checks.")
]
_Gpu = Annotated[
    bool, typer.Option("--gpu", help="Run the gpu checks, too, on this machine's GPU.")
]
_FromBundle = Annotated[
    Path | None,
    typer.Option(
        "--from-bundle", metavar="FILE.tar", help="Take lock and artifacts from a bundle, offline."
    ),
]
_Sbom = Annotated[bool, typer.Option("--sbom", help="Add bills of materials: CycloneDX and SPDX.")]
_CompressionOption = Annotated[
    _Compression,
    typer.Option(
        "--compression",
        help="Of the layers: as the wheels have it; one gzip member; zstd (smaller); none.",
    ),
]
_Provenance = Annotated[
    bool, typer.Option("--provenance", help="Add a SLSA statement of lock and image.")
]


@command("build")
def build_command(
    context: typer.Context,
    names: NamesArgument = None,
    everything: AllOption = False,
    output: _Output = None,
    push: PushOption = None,
    load: LoadOption = None,
    insecure: InsecureOption = False,
    cache_from: CacheFromOption = None,
    cache_to: CacheToOption = None,
    record: _Record = False,
    check: _Check = False,
    against: _Against = None,
    no_validate: _NoValidate = False,
    gpu: _Gpu = False,
    artifact_map: ArtifactMapOption = None,
    from_bundle: _FromBundle = None,
    offline: OfflineOption = False,
    platform: PlatformOption = None,
    sbom: _Sbom = False,
    compression: _CompressionOption = _Compression.REUSE,
    provenance: _Provenance = False,
) -> None:
    """Build images from locks, prove them in a sandbox, publish them as OCI layouts.

    What several images share is fetched and packed once; one that fails does not stop the others.
    """
    state: Context = context.obj
    state.offline, state.insecure = offline, insecure
    check_all(names, everything)
    order = Order(
        artifact_map=artifact_map,
        record=record,
        check=check,
        against=against,
        validate=not no_validate,
        gpu=gpu,
        sbom=sbom,
        provenance=provenance,
        compression=compression.value,
    )
    _check_order(order, cached=cache_from is not None, bundled=from_bundle is not None)
    bundled = open_bundle(state, from_bundle, names) if from_bundle is not None else None
    asked = [bundled.name] if bundled else state.names(names, specs=False)
    if output is not None:
        _check_output(output, asked)
    if bundled is None and platform is None and push is not None and (output or load):
        check_one_platform(state, asked)
    order = replace(
        order,
        cache_from=open_cache(state, cache_from, "--cache-from") if cache_from else None,
        cache_to=open_cache(state, cache_to, "--cache-to") if cache_to else None,
    )
    places = _Places(output=output, push=push, load=load)
    _build_all(state, asked, bundled, platform, places, order)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where images go, as the command line has it."""

    output: Path | None
    push: str | None
    load: Engine | None


def _build_all(
    state: Context,
    names: list[str],
    bundled: Lock | None,
    platform: str | None,
    places: _Places,
    order: Order,
) -> None:
    """Build the images of all environments, and tell what became of each."""
    references = push_references(places.push, names)
    every = places.push is not None

    def one(name: str) -> list[dict[str, Any]]:
        locks = [bundled] if bundled else load_all(state, name, platform, every=every)
        if order.validate:
            require_provable(locks)
        where = delivery(state, name, references.get(name), places.load, places.output)
        made = []
        for lock in locks:
            target = places.output or state.project.image(name, lock.platform)
            made.append(build_image(state, lock, target, where, order))
        where.finish(state)
        return [{**document, **where.told} for document in made]

    outcome = each(state.output, names, one)
    tell_built(state.output, outcome)
    state.output.document({"images": outcome.documents, "failed": outcome.failed})
    outcome.leave()


def _check_order(order: Order, *, cached: bool, bundled: bool) -> None:
    """Refuse what cannot be asked for together; raises UsageError."""
    if order.record and bundled:
        raise UsageError("--record writes into a lock of the project, and the bundle has its own")
    if order.against is not None and not order.check:
        raise UsageError("--against names what --check compares with")
    if order.gpu and not order.validate:
        raise UsageError("--gpu runs checks, and --no-validate leaves them out")
    if order.check and cached:
        raise UsageError("--check makes every layer anew, and --cache-from has them made elsewhere")
    if order.compression != "reuse" and (order.record or order.check):
        raise UsageError(
            "--record and --check are about images as they are built, and --compression "
            f"{order.compression} publishes another manifest",
            hint="do it in two commands",
        )


_PACKED = re.compile(r"(?i)\.(tar|tgz|tbz2?|txz|tzst|gz|bz2|xz|zst|lz4|zip|7z)$")


def _check_output(output: Path, names: list[str]) -> None:
    """Refuse one place for several images, and a name that promises another form than it has."""
    if len(names) != 1:
        raise UsageError("-o names one place, but several environments are to be built")
    if output.suffix != ".tar" and _PACKED.search(output.name):
        raise UsageError(
            "images are written as a folder or as FILE.tar",
            where=str(output),
            hint="the layers in it are compressed already",
        )
