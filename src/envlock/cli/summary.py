"""What is in an image that was built, in a few lines and for machines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from envlock.cli.output import megabytes
from envlock.platforms import PLATFORMS
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.model import Kind, Lock
    from envlock.pipeline import Built

_KINDS: dict[Kind, str] = {"debian": "Debian package", "conda": "conda package", "pypi": "wheel"}
_LARGEST = 3


def summary_lines(
    lock: Lock, built: Built, shown: str | None, *, recorded: bool, image: str | None
) -> list[str]:
    """Return the image for people.

    shown: where it lies; recorded: its digest was written into the lock just now; image: what
    ``envlock run`` takes it by, None where it lies nowhere here.
    """
    digests = built.digests
    times = ", ".join(f"{stage} {value:.1f} s" for stage, value in built.seconds.items())
    place = f" -> {shown}" if shown else ""
    below = f" upon {len(lock.base.layers)} of the base image" if lock.base else ""
    head = (
        f"{lock.name} {lock.platform}: {counted(len(digests.layers), 'layer')}{below}, "
        f"{megabytes(digests.size)}{place} ({times})"
    )
    lines = [head, f"  packages  {_packages(lock)}"]
    lines += [f"  override  {text}" for text in _overrides(lock, built)]
    told = "recorded in the lock" if recorded else _recorded(lock, built)
    lines.append(f"  digest    {told}")
    if image is not None:
        lines.append(f"  next      {_next(lock, image)}")
    return lines


def _next(lock: Lock, image: str) -> str:
    here = PLATFORMS[lock.platform].machine == os.uname().machine
    runs = f"envlock run {image} -- COMMAND{'' if here else ', on a machine for it'}"
    if image != lock.name:
        return runs
    return f"{runs}; elsewhere by envlock build {lock.name} --push REF, or --load podman"


def summary_data(lock: Lock, built: Built) -> dict[str, Any]:
    """Return the same for ``--json``."""
    return {
        "packages": {kind: len(lock.of_kind(kind)) for kind in sorted(_KINDS)},
        "recorded": lock.built is not None and lock.built.manifest == built.digests.manifest,
    }


def _packages(lock: Lock) -> str:
    counts = [counted(len(found), _KINDS[kind]) for kind in _KINDS if (found := lock.of_kind(kind))]
    largest = sorted(lock.artifacts, key=lambda one: -one.size)[:_LARGEST]
    named = ", ".join(f"{one.name} {one.version} ({megabytes(one.size)})" for one in largest)
    return f"{', '.join(counts)}; the largest: {named}"


def _overrides(lock: Lock, built: Built) -> Iterator[str]:
    results = built.report.results if built.report else ()
    for override in lock.overrides:
        mine = [one for one in results if one.override == override.package]
        passed = sum(one.status in ("passed", "recovered") for one in mine)
        voids = ", ".join(f"{one.dependent}'s {_pin(one.requirement)}" for one in override.voids)
        text = f"{override.package} {override.version}"
        text += f" against {voids}" if voids else ""
        if not mine:
            yield f"{text}; not checked"
            continue
        yield f"{text}; {passed} of {len(mine)} checks passed"


def _pin(requirement: str) -> str:
    """Return a requirement without its marker."""
    return requirement.partition(";")[0].strip()


def _recorded(lock: Lock, built: Built) -> str:
    if lock.built is None:
        return "not recorded in the lock: --record does it"
    if lock.built.manifest == built.digests.manifest:
        return "as recorded in the lock"
    if lock.built.config == built.digests.config:
        return f"the recorded image ({lock.built.manifest}) in another compression"
    return f"not the one that the lock records ({lock.built.manifest})"
