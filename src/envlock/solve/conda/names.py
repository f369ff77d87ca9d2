"""Which PyPI distribution a conda package stands for that brings no ``*.dist-info``.

Asked in this order, and only where the package itself says nothing: the ``purls`` of its
repodata (package-url's type ``pypi``), a table (``table.py``), and ``conda.map`` of the spec,
whose word is the last.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envlock.errors import SpecError
from envlock.solve.conda.table import name_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rattler import RepoDataRecord

    from envlock.lock.model import Artifact
    from envlock.spec.model import Spec

_PURL = "pkg:pypi/"


def purls_of(record: RepoDataRecord) -> tuple[str, ...]:
    """Return what a channel says a package is elsewhere; rattler shows it in JSON only."""
    text = record.to_json()
    return tuple(json.loads(text).get("purls") or ()) if '"purls"' in text else ()


def with_names(
    artifacts: Sequence[Artifact],
    records: Mapping[str, RepoDataRecord],
    spec: Spec,
    askable: frozenset[str],
    table: Path | None = None,
) -> tuple[Artifact, ...]:
    """Return the packages, each with the distributions that it stands for.

    records: the packages as their channels have them, by name, for the purls; askable: those
    that a table is asked about; table: the user's own.  A name that another package really
    brings, or that an earlier one stands for, is nobody's guess.  Raises SpecError for a name
    in ``conda.map`` that cannot be, UsageError for a table that cannot be read.
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
            stands = _from_purls(one, purls_of(records[one.name]))
            if not stands and one.name in askable:
                stands = _from_table(one, table)
            stands = {name: version for name, version in stands.items() if name not in taken}
        if not stands and not one.conda.stands_for:
            found.append(one)
            continue
        taken.update(stands)
        brings = dict(one.conda.provides)
        new = tuple(sorted(item for item in stands.items() if item[0] not in brings))
        same = new == one.conda.stands_for
        record = one.conda if same else dataclasses.replace(one.conda, stands_for=new)
        found.append(one if same else dataclasses.replace(one, conda=record))
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


def _from_table(artifact: Artifact, own: Path | None) -> dict[str, str]:
    name = name_table(own).get(artifact.name)
    return {name: artifact.version} if name and _is_version(artifact.version) else {}


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
