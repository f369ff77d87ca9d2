"""Paths at which the chosen conda packages would put different files, settled by the spec.

conda and rattler warn of such paths and let one file overwrite the other.  Here they are found
in the packages' own lists of files before anything is locked.  A list has no bytes: where a
file holds its prefix, or is a link, two files may differ or not, and the build decides.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, UnsatisfiableError
from envlock.layers.clobbers import described, remedy, told
from envlock.layers.condapaths import entry_point, installed_path
from envlock.solve.clobbers import check_entries, site_of, weigh
from envlock.solve.conda.archive import DIRECTORY, Info, differ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.solve.conda.solve import CondaMeans
    from envlock.spec.model import Spec


def settled(
    spec: Spec, artifacts: Sequence[Artifact], means: CondaMeans, reporter: Reporter
) -> tuple[Artifact, ...]:
    """Return the artifacts, conda packages with those paths that give way to another's.

    Raises UnsatisfiableError for paths that ``conda.clobbers`` says nothing of, SpecError for
    an entry that nothing needs, FetchError, ArtifactError.
    """
    packages = [one for one in artifacts if one.conda is not None]
    if spec.conda is None or not packages:
        return tuple(artifacts)
    site = site_of(spec, packages)
    infos = means.reader().files(packages, reporter)
    files = [
        (one.name, _installed(one, info, site)) for one, info in zip(packages, infos, strict=True)
    ]
    entries = spec.conda.clobbers
    found = weigh(entries, files, differ)
    names = {one.name for one in packages}
    check_entries(spec, "conda.clobbers", entries, names, found.used, reporter)
    if found.clashes:
        raise UnsatisfiableError(
            told(found.clashes),
            where=str(spec.conda.location),
            details=described(found.clashes),
            hint=remedy(found.clashes),
        )
    return tuple(_clobbered(one, found.of(one.name)) for one in artifacts)


def _clobbered(artifact: Artifact, paths: tuple[tuple[str, str], ...]) -> Artifact:
    if artifact.conda is None or artifact.conda.clobbered == paths:
        return artifact
    return dataclasses.replace(artifact, conda=dataclasses.replace(artifact.conda, clobbered=paths))


def _installed(artifact: Artifact, info: Info, site: str) -> dict[str, str]:
    """Return a package's files by where they go, with their marks."""
    assert artifact.conda is not None
    noarch = artifact.conda.noarch == "python"
    found = {
        installed_path(path, noarch=noarch, site=site) if noarch else path: mark
        for path, mark in info.marks.items()
        if mark != DIRECTORY
    }
    for point in info.points:
        try:
            match = entry_point(point)
        except ArtifactError:
            continue  # the build will name the package
        found[f"bin/{match['name']}"] = f"script:{match['module']}:{match['object']}"
    return found
