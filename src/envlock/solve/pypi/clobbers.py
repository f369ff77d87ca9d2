"""Paths at which the chosen wheels would install different files, settled by the spec.

pip and uv let one overwrite the other, which one depending on the order in which they install.
Here such paths are found in the directories of the wheels' archives before anything is locked.
"""

from __future__ import annotations

import dataclasses
from operator import ne
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envlock.errors import FetchError, UnsatisfiableError
from envlock.layers.clobbers import described, remedy, told
from envlock.layers.scheme import Scheme
from envlock.solve.clobbers import check_entries, site_of, weigh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.solve.pypi.contents import ContentsReader
    from envlock.spec.model import Spec

_PREFIX = "env"
"""What stands for the environment's folder while paths below it are compared."""


def settled(
    spec: Spec,
    artifacts: Sequence[Artifact],
    urls: Mapping[str, str],
    reader: ContentsReader,
    reporter: Reporter,
) -> tuple[Artifact, ...]:
    """Return the artifacts, wheels with those paths that give way to another's.

    urls: where the wheels lie, by sha256.  Raises UnsatisfiableError for paths that
    ``pypi.clobbers`` says nothing of, SpecError for an entry that nothing needs, FetchError where
    wheels that entries are about cannot be read.
    """
    wheels = [one for one in artifacts if one.kind == "pypi"]
    entries = spec.pypi.clobbers
    site = site_of(spec, artifacts)
    scheme = Scheme(prefix=_PREFIX, python=spec.python, site=site)
    read = reader.files(wheels, urls, scheme, reporter) if len(wheels) > 1 else {}
    files = [(name, marks) for name, marks in read.items() if marks is not None]
    if entries and len(files) < len(read):
        raise _unread(sorted(read.keys() - dict(files).keys()))
    found = weigh(entries, files, ne)
    names = {one.name for one in wheels}
    check_entries(spec, "pypi.clobbers", entries, names, found.used, reporter)
    if found.clashes:
        adds = [asked for override in spec.overrides for asked in override.adds]
        asked = {canonicalize_name(a.requirement.name) for a in (*spec.pypi.dependencies, *adds)}
        raise UnsatisfiableError(
            told(found.clashes, "pypi"),
            where=str(spec.pypi.location or spec.file),
            details=described(found.clashes),
            hint=remedy(found.clashes, "pypi", asked=asked),
        )
    return tuple(
        dataclasses.replace(one, clobbered=found.of(one.name)) if one.kind == "pypi" else one
        for one in artifacts
    )


def _unread(names: Sequence[str]) -> FetchError:
    return FetchError(
        f"what {', '.join(names[:3])}{' and others' if names[3:] else ''} would install cannot be "
        "read, and pypi.clobbers asks for a comparison",
        hint="solve once with the network; if it was there, the build will say what is wrong "
        "with the wheel: leave pypi.clobbers out for that",
    )
