"""``envlock validate``: prove an image that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.locks import load_named
from envlock.cli.options import PlatformOption
from envlock.cli.proof import prefix_prover, prover, sandbox, this_gpu, unprotected
from envlock.errors import CheckFailedError, UsageError
from envlock.sizes import counted

if TYPE_CHECKING:
    from envlock.lock.model import Lock
    from envlock.validate.results import Report
    from envlock.validate.sandbox import Sandbox


_Image = Annotated[
    str | None,
    typer.Argument(
        metavar="IMAGE|PREFIX",
        help="An environment's name, an OCI layout, a tar of one, or an installed prefix.",
        autocompletion=environments,
    ),
]
_Lock = Annotated[
    Path | None,
    typer.Option("--lock", metavar="FILE", help="The lock it was built from.", dir_okay=False),
]
_Gpu = Annotated[
    bool, typer.Option("--gpu", help="Run the gpu checks, too, on this machine's GPU.")
]
_Rootfs = Annotated[
    Path | None,
    typer.Option(
        "--rootfs", metavar="DIR", help="Check an unpacked image in this folder.", file_okay=False
    ),
]
_NoSandbox = Annotated[
    bool,
    typer.Option("--no-sandbox", help="Do without bubblewrap; nothing but files is kept apart."),
]
_Record = Annotated[
    bool,
    typer.Option("--record", help="Write what was seen to locks/NAME.PLATFORM.proof.json."),
]
_Strict = Annotated[
    bool, typer.Option("--strict", help="Fail where an accepted failure no longer happens.")
]


@command("validate")
def validate_command(
    context: typer.Context,
    image: _Image = None,
    lock: _Lock = None,
    platform: PlatformOption = None,
    gpu: _Gpu = False,
    rootfs: _Rootfs = None,
    no_sandbox: _NoSandbox = False,
    record: _Record = False,
    strict: _Strict = False,
) -> None:
    """Run an image's checks in a sandbox and compare it with its lock."""
    state: Context = context.obj
    if image is None and rootfs is None:
        context.fail("Missing argument 'IMAGE'.")
    if record and rootfs is not None:
        raise UsageError(
            "--record keeps an image's digest, and an unpacked one has none",
            hint="give the image itself: a name, an OCI layout, or a tar of it",
        )
    prefix = _given_prefix(image) if image is not None and rootfs is None else None
    if prefix is not None and (record or no_sandbox):
        raise UsageError("--record and --no-sandbox are for images", where=image)
    if prefix is not None:
        _judge(_installed(state, prefix, lock, gpu=gpu), strict=strict)
        return
    chosen, layout = _chosen(state, image, lock, platform, unpacked=rootfs is not None)
    proof = _proof_path(state, chosen, lock) if record else None  # known before any work
    inside = unprotected(state) if no_sandbox else None
    if rootfs is not None:
        report = _unpacked(state, rootfs, chosen, inside, gpu=gpu)
    else:
        layout = layout or built_image(state, chosen.name, chosen.platform)
        report = prover(state, chosen, gpu=gpu, inside=inside)(layout)
    _tell(state, report)
    _tell_another(state, chosen, report)
    if proof is not None:
        _record(state, chosen, report, proof, lock)
    _judge(report, strict=strict)


def _tell_another(state: Context, lock: Lock, report: Report) -> None:
    """Warn where what was checked is not the image that the lock records."""
    if lock.built is not None and report.image and lock.built.manifest != report.image:
        state.output.warn(
            f"this is not the recorded image: {lock.built.manifest} is recorded, "
            f"this is {report.image}"
        )


def _tell(state: Context, report: Report) -> None:
    from envlock.validate.report import as_data, as_lines

    for line in as_lines(report, verbose=state.output.verbose):
        state.output.result(line)
    state.output.document({"report": as_data(report)})


def _chosen(
    state: Context, image: str | None, lock: Path | None, platform: str | None, *, unpacked: bool
) -> tuple[Lock, Path | None]:
    """Return the lock, and the layout where one was given by its place."""
    from envlock.lock.codec import load_lock

    if image is None and lock is None:
        raise UsageError("which environment is it?", hint="name it, or its lock with --lock")
    layout = given_layout(image) if image is not None and not unpacked else None
    if lock is not None:
        chosen = load_lock(lock)
        if platform not in (None, chosen.platform):
            raise UsageError(f"this is a lock for {chosen.platform}", where=str(lock))
    elif layout is not None:
        chosen = load_named(state, _title(layout), platform)
    else:
        chosen = load_named(state, str(image), platform)
    if layout is None and not unpacked and image is not None:
        layout = built_image(state, image, chosen.platform)
    return chosen, layout


def _unpacked(
    state: Context, rootfs: Path, lock: Lock, inside: Sandbox | None, *, gpu: bool
) -> Report:
    """Check an unpacked image; how commands start in it is its lock's to say."""
    from envlock.validate.checks import validate_rootfs
    from envlock.validate.inside import config_of

    if not rootfs.is_dir():
        raise UsageError("there is no such folder", where=str(rootfs))
    return validate_rootfs(
        rootfs.resolve(),
        config_of(lock),
        lock,
        sandbox=inside or sandbox(),
        reporter=state.output,
        limits=state.config.checks,
        gpu=this_gpu(state) if gpu else None,
    )


def _proof_path(state: Context, lock: Lock, given: Path | None) -> Path:
    """Return where the proof goes: beside the lock."""
    from envlock.lock.proof import proof_path

    folder = state.project.root / "locks" if given is None else given.absolute().parent
    return proof_path(folder, lock.name, lock.platform)


def _record(state: Context, lock: Lock, report: Report, path: Path, given: Path | None) -> None:
    from envlock.validate.proof import proof_of, write_proof

    write_proof(path, proof_of(report, lock))
    shown = path if given is not None else state.project.shown(path)
    state.output.message(f"recorded in {shown}")


def _judge(report: Report, *, strict: bool) -> None:
    failed, recovered = report.count("failed"), report.count("recovered")
    if failed:
        raise CheckFailedError(f"{counted(failed, 'check')} failed")
    if strict and recovered:
        raise CheckFailedError(
            f"{counted(recovered, 'accepted failure')} no longer happen"
            + ("s" if recovered == 1 else ""),
            hint="remove the lines from accepts; without --strict this is only told",
        )


def _given_prefix(image: str) -> Path | None:
    """Return the environment that ``envlock install`` made at ``image``, if there is one."""
    from envlock.install.prefix import MARKER

    path = Path(image)
    return path.resolve() if (path / MARKER).is_file() else None


def _installed(state: Context, prefix: Path, lock: Path | None, *, gpu: bool) -> Report:
    """Check an installed environment against its lock, or against another one."""
    import dataclasses

    from envlock.install.prefix import read_marker
    from envlock.lock.codec import load_lock

    marker = read_marker(prefix)
    if lock is not None:
        marker = dataclasses.replace(marker, lock=load_lock(lock))
    report = prefix_prover(state, prefix, gpu=gpu)(marker, prefix)
    _tell(state, report)
    return report


def given_layout(image: str) -> Path | None:
    """Return the layout or tar that ``image`` names, None where it is an environment's name."""
    path = Path(image)
    if path.is_file() or (path / "oci-layout").exists():
        return path
    if "/" in image:
        raise UsageError("this is neither an OCI layout nor a tar of one", where=image)
    return None


def built_image(state: Context, name: str, platform: str | None = None) -> Path:
    """Return where the built image of an environment is; raises UsageError without one."""
    path = state.project.image(name, platform)
    if not (path / "index.json").is_file():
        state.project.locked_platforms(name)
        usual = path == state.project.image(name)
        raise UsageError(
            f"{name} is not built{'' if usual else f' for {platform}'}: there is no "
            f"{state.project.shown(path)}",
            hint=f"run envlock build {name}{'' if usual else f' --platform {platform}'}; an image "
            "that is elsewhere, as -o put it, is named by its path, with a / in it",
        )
    return path


def _title(layout: Path) -> str:
    """Return the environment that an image says it is."""
    from envlock.validate.layout import open_layout

    title = open_layout(layout).title
    if not title:
        raise UsageError(
            "the image does not tell which environment it is",
            where=str(layout),
            hint="name its lock with --lock",
        )
    return title
