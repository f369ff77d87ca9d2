"""Packages of a lock, as the audit sees them.

The lock knows better than the package what it needs and brings: channels mend the ``depends``
of packages that are built already, and a spec may name the distribution of one that is silent.
So both are part of what an audit is known by.  Files that give way to another package's, or to
another wheel's, are not there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from envlock.audit.index.conda import PYTHONS, package_of
from envlock.audit.index.layout import installed_name
from envlock.audit.index.model import Distribution, WheelIndex
from envlock.audit.model import normalize

if TYPE_CHECKING:
    from envlock.lock.model import Artifact


def has_code(artifact: Artifact) -> bool:
    """Tell whether an artifact is worth a look: Python's packages depend on Python."""
    if artifact.conda is None:
        return artifact.kind == "pypi"
    if artifact.name in PYTHONS:
        return False
    needs = {package_of(entry) for entry in artifact.depends}
    return artifact.conda.noarch == "python" or bool(needs & PYTHONS)


def key_of(artifact: Artifact, key: str) -> str:
    """Return what names an artifact's index in caches; ``key`` names that of its file alone."""
    if artifact.conda is None:
        return f"{key}-{_digest([artifact.clobbered])}" if artifact.clobbered else key
    said: list[object] = [artifact.name, artifact.version]
    said += [_depends(artifact), artifact.distributions]
    if artifact.conda.clobbered:
        said.append(artifact.conda.clobbered)
    digest = _digest(said)
    return f"{key}-{digest}" if has_code(artifact) else f"conda-{digest}"


def _digest(said: list[object]) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def fitted(index: WheelIndex, artifact: Artifact) -> WheelIndex:
    """Return the index of an artifact's file with what the lock says of it."""
    gone = {path for path, _ in artifact.gives_way}
    if artifact.conda is None:
        return _without(index, gone)
    known = {normalize(one.name) for one in index.distributions}
    silent = [
        Distribution(name=name, version=version)
        for name, version in artifact.distributions
        if name not in known
    ]
    found = replace(
        index, depends=_depends(artifact), distributions=(*index.distributions, *silent)
    )
    return _without(found, gone)


def _without(index: WheelIndex, clobbered: set[str]) -> WheelIndex:
    """Return an index without the modules and programs whose files give way to another's."""
    if not clobbered:
        return index
    gone = {path.partition("site-packages/")[2] for path in clobbered}
    return replace(
        index,
        modules={
            name: one
            for name, one in index.modules.items()
            if installed_name(one["file"]) not in gone
        },
        entry_points=tuple(
            point
            for point in index.entry_points
            if f"bin/{point.partition(': ')[2].partition('=')[0].strip()}" not in clobbered
        ),
    )


def bare(artifact: Artifact) -> WheelIndex:
    """Return what is known of a conda package without Python code."""
    return fitted(
        WheelIndex(name=artifact.name, version=artifact.version, package=artifact.name), artifact
    )


def _depends(artifact: Artifact) -> tuple[str, ...]:
    return tuple(sorted({name for entry in artifact.depends if (name := package_of(entry))}))
