"""Which PyPI distribution a conda package stands for that brings no ``*.dist-info``.

Asked in this order, and only where the package itself says nothing: the ``purls`` of its
repodata (package-url's type ``pypi``), the table of the distribution ``conda-pypi`` where this
machine has it, and ``conda.map`` of the spec, whose word is the last.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envlock.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rattler import RepoDataRecord

    from envlock.lock.model import Artifact
    from envlock.spec.model import Spec

_PURL = "pkg:pypi/"
_TABLE = "conda_pypi/grayskull_pypi_mapping.json"


def purls_of(record: RepoDataRecord) -> tuple[str, ...]:
    """Return what a channel says a package is elsewhere; rattler shows it in JSON only."""
    return tuple(json.loads(record.to_json()).get("purls") or ())


def with_names(
    artifacts: Sequence[Artifact],
    purls: Mapping[str, Sequence[str]],
    spec: Spec,
    askable: Collection[str],
) -> tuple[Artifact, ...]:
    """Return the packages, each with the distributions that it stands for.

    purls: by package; askable: those that ``conda-pypi``'s table is asked about.  A name that
    another package really brings, or that an earlier one stands for, is nobody's guess.  Raises
    SpecError for a name in ``conda.map`` that cannot be.
    """
    own = {name for one in artifacts if one.conda for name, _ in one.conda.provides}
    said = spec.conda.map if spec.conda else {}
    taken = own | set(said.values())
    found = []
    for one in artifacts:
        assert one.conda is not None
        if one.name in said:
            stands = _mapped(one, said[one.name], spec)
        elif one.conda.provides:
            stands = {}
        else:
            stands = _from_purls(one, purls.get(one.name, ()))
            if not stands and one.name in askable:
                stands = _from_table(one)
            stands = {name: version for name, version in stands.items() if name not in taken}
        taken |= stands.keys()
        brings = dict(one.conda.provides)
        new = tuple(sorted(item for item in stands.items() if item[0] not in brings))
        found.append(dataclasses.replace(one, conda=dataclasses.replace(one.conda, stands_for=new)))
    return tuple(found)


def _mapped(artifact: Artifact, name: str, spec: Spec) -> dict[str, str]:
    """Return what the spec says that a package provides; its version is the package's."""
    if not name:
        return {}
    if not _is_version(artifact.version):
        raise SpecError(
            f"conda.map: {artifact.name} has the version {artifact.version}, which no PyPI "
            "distribution can have",
            location=spec.conda.location if spec.conda else None,
            hint="remove it from the map",
        )
    return {name: artifact.version}


def _from_purls(artifact: Artifact, purls: Sequence[str]) -> dict[str, str]:
    """Return the distributions in package URLs: ``pkg:pypi/torch@2.4.0?x=y#z``."""
    found = {}
    for purl in purls:
        if not purl.startswith(_PURL):
            continue
        name, _, version = (
            purl.removeprefix(_PURL).partition("#")[0].partition("?")[0].partition("@")
        )
        number = unquote(version) or artifact.version
        if name and _is_version(number):
            found[str(canonicalize_name(unquote(name)))] = number
    return found


def _from_table(artifact: Artifact) -> dict[str, str]:
    name = _table().get(artifact.name)
    return {name: artifact.version} if name and _is_version(artifact.version) else {}


@functools.cache
def _table() -> Mapping[str, str]:
    """Return conda-pypi's table by conda names, empty where it is not installed.

    Its file is read and none of its code: that would load conda itself.  Of several
    distributions with one conda package the one of the same name is taken, else the first.
    """
    try:
        path = str(metadata.distribution("conda-pypi").locate_file(_TABLE))
        entries = json.loads(Path(path).read_text("utf-8"))
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return {}
    found: dict[str, str] = {}
    for _, entry in sorted(entries.items()):
        conda, pypi = entry["conda_name"], str(canonicalize_name(entry["pypi_name"]))
        if pypi == conda or conda not in found:
            found[conda] = pypi
    return found


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
