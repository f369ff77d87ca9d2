"""Distributions and the artifacts that bring them.

The audit speaks of distributions; overrides and specs may name conda packages instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.lock.model import Artifact
    from envlock.spec.model import Override, Spec


def brought_by(artifact: Artifact) -> frozenset[str]:
    """Return the distributions that an artifact brings, normalized.

    Code of a conda package that brings none goes by the package's name.
    """
    names = {name for name, _ in artifact.distributions}
    return frozenset(names or {canonicalize_name(artifact.name)})


def distributions_of(override: Override, artifacts: Sequence[Artifact]) -> frozenset[str]:
    """Return what the package that an override forces brings."""
    found: frozenset[str] = frozenset({canonicalize_name(override.package)})
    for artifact in artifacts:
        if artifact.kind == override.kind and artifact.name == override.package:
            found |= brought_by(artifact)
    return found


def version_of(override: Override, artifacts: Sequence[Artifact]) -> str | None:
    """Return the version of the package that an override is about, None where it is not there."""
    found = None
    for artifact in artifacts:
        if artifact.kind == override.kind and artifact.name == override.package:
            return artifact.version
        if override.kind == "pypi":
            found = dict(artifact.distributions).get(override.package, found)
    return found


def requested(spec: Spec, artifacts: Sequence[Artifact]) -> set[str]:
    """Return the distributions that the spec asks for by name, normalized."""
    found: set[str] = {
        canonicalize_name(asked.requirement.name) for asked in spec.pypi.dependencies
    }
    wanted = {asked.name for asked in spec.conda.dependencies} if spec.conda else set()
    for artifact in artifacts:
        if artifact.kind == "conda" and artifact.name in wanted:
            found |= brought_by(artifact)
    return found
