"""Running the checks for a command, and showing what they found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from envlock.cli.context import Context
    from envlock.install.prefix import Marker
    from envlock.lock.model import Lock
    from envlock.validate.gpu.driver import Gpu
    from envlock.validate.results import Report
    from envlock.validate.sandbox import Sandbox


def sandbox() -> Sandbox:
    """Return the sandbox of this machine; raises SandboxError where there is none."""
    from envlock.validate.sandbox import Bubblewrap, find_bwrap

    return Bubblewrap(find_bwrap(os.environ.get("PATH", os.defpath)))


def require_provable(locks: Sequence[Lock]) -> None:
    """Refuse images that no check can run in here; raises SandboxError before any work is done."""
    from envlock.platforms import PLATFORMS
    from envlock.validate.foreign import require_machine

    for lock in locks:
        require_machine(PLATFORMS[lock.platform].oci)


def unprotected(state: Context) -> Sandbox:
    """Return what runs without the sandbox, and say so to people, however quiet they want it."""
    from envlock.validate.unprotected import WARNING, Unprotected

    state.output.warn(WARNING)
    return Unprotected()


def this_gpu(state: Context) -> Gpu:
    """Return how this machine's GPU is shown to checks; raises GpuError where there is none."""
    import yaml

    from envlock.validate.gpu.driver import access, describe, find_driver

    driver = find_driver(state.config.driver_root, yaml.safe_load)
    for line in describe(driver):
        state.output.note(line)
    return access(driver)


def prover(
    state: Context,
    lock: Lock,
    *,
    anew: bool = True,
    gpu: bool = False,
    inside: Sandbox | None = None,
    complete: Callable[[Path], None] | None = None,
) -> Callable[[Path], Report]:
    """Return what proves a layout; asks for sandbox and GPU now, before any work is done.

    Unless ``anew``, a proof that this machine made of the same image and lock is good enough;
    with a GPU every proof is made anew, and none is kept.  inside: another sandbox;
    complete: brings what a layout lacks, and is called where the layers are to be read.
    """
    from envlock.validate.checks import validate_image
    from envlock.validate.layout import open_layout
    from envlock.validate.record import recall, remember

    inside = inside or sandbox()
    shown = this_gpu(state) if gpu else None
    cache = state.cache

    def prove(layout: Path) -> Report:
        known = None if anew or shown else recall(cache, open_layout(layout).manifest, lock)
        if known is not None:
            state.output.message("proven before; envlock validate runs the checks again")
            return known
        if complete is not None:
            complete(layout)
        report = validate_image(
            layout,
            lock,
            cache=cache,
            sandbox=inside,
            reporter=state.output,
            limits=state.config.checks,
            gpu=shown,
        )
        if shown is None:
            remember(cache, report, lock)
        return report

    return prove


def prefix_prover(
    state: Context, prefix: Path, *, gpu: bool = False
) -> Callable[[Marker, Path], Report]:
    """Return what proves an environment that will lie at ``prefix``, by where it lies now."""
    from envlock.home import home_folder
    from envlock.validate.prefix import validate_prefix

    inside = sandbox()
    shown = this_gpu(state) if gpu else None

    def prove(marker: Marker, content: Path) -> Report:
        return validate_prefix(
            prefix,
            marker.lock,
            content=content,
            python=marker.python,
            env=marker.env,
            home=home_folder(),
            sandbox=inside,
            reporter=state.output,
            limits=state.config.checks,
            gpu=shown,
        )

    return prove


def say_report(state: Context, report: Report) -> None:
    """Tell a person what the checks found, a failure even where they wanted to hear little."""
    from envlock.validate.report import as_lines

    say = state.output.message if report.ok else state.output.alert
    for line in as_lines(report, verbose=state.output.verbose):
        say(line)
