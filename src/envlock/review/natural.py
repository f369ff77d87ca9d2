"""What would be locked without an override: the natural solve, kept by its inputs.

The other locked versions are preferred, so that what differs is what the override does.
What an override ``adds`` stays where that can be solved: the forced version is compared with
the natural one, not with an environment that lacks something else besides.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from envlock.errors import OverrideError, UnsatisfiableError
from envlock.files import write_atomically
from envlock.lock.model import Artifact, CondaRecord
from envlock.progress import SILENT
from envlock.review.model import Natural
from envlock.solve.python import solve_python
from envlock.spec.projection import project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.progress import Reporter
    from envlock.solve.python import PythonSolvers
    from envlock.spec.model import Override, Spec, Target

FORMAT = 2
"""Version of what is kept."""

_SOLVED_BY = ("projection", "python", "platform", "exclude-newer", "indexes", "index-order",
              "indexes-undated", "pypi", "conda")  # fmt: skip

_TEXTS = ("constrains", "link_handled", "link_scripts", "link_unhandled", "track_features")
_PAIRS = ("provides", "stands_for", "clobbered")


class NaturalSolver:
    """Solves specs with some overrides left out; what was solved is kept below ``cache``."""

    def __init__(
        self,
        solvers: PythonSolvers,
        cache: Path,
        *,
        fresh: bool = False,
        reporter: Reporter = SILENT,
    ) -> None:
        self._solvers = solvers
        self._cache = cache
        self._fresh = fresh
        self._reporter = reporter

    def without(
        self, spec: Spec, target: Target, left_out: frozenset[str], locked: Sequence[Artifact]
    ) -> Natural:
        """Return the natural solution without the overrides of some packages.

        locked: conda packages and wheels, preferred but for those packages.  Raises FetchError.
        """
        kept = [artifact for artifact in locked if artifact.name not in left_out]
        found = Natural()
        added = [o for o in spec.overrides if o.package in left_out and (o.adds or o.conda_adds)]
        for adds in (True, False):
            found = self._known_or_solved(_reduced(spec, left_out, adds), target, kept)
            if found.solved or not added:
                break
        return found

    def _known_or_solved(self, spec: Spec, target: Target, kept: Sequence[Artifact]) -> Natural:
        place = self._cache / f"{self._key(spec, target, kept)}.json"
        known = None if self._fresh else _load(place)
        if known is not None:
            return known
        try:
            with self._reporter.task(f"solving {spec.name} without an override"):
                solution = solve_python(
                    spec, target, self._solvers, SILENT, kept=kept, explained=False
                )
        except (UnsatisfiableError, OverrideError) as error:
            found = Natural(reason="\n".join((error.message, *error.details)))
        else:
            found = Natural(artifacts=solution.artifacts)
        value = {"artifacts": [dataclasses.asdict(a) for a in found.artifacts]}
        text = json.dumps({**value, "reason": found.reason}, sort_keys=True)
        write_atomically(place, text.encode())
        return found

    def _key(self, spec: Spec, target: Target, kept: Sequence[Artifact]) -> str:
        asked = project(spec, target.name)
        overrides = [
            [
                item.kind,
                item.package,
                item.version,
                {**item.claims, **{name: str(pin) for name, pin in item.against.items()}},
                [added.spec for added in item.conda_adds],
                [str(added.requirement) for added in item.adds],
            ]
            for item in spec.overrides
        ]
        inputs: list[Any] = [FORMAT, {key: asked.get(key) for key in _SOLVED_BY}, overrides]
        inputs += [[[one.kind, one.name, one.version, one.sha256] for one in kept]]
        inputs += [self._solvers.uv.places(spec.indexes)]
        conda = self._solvers.conda
        inputs += [{name: one.urls for name, one in conda.access.items()} if conda else {}]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _reduced(spec: Spec, left_out: frozenset[str], adds: bool) -> Spec:
    """Return a spec without some overrides; ``adds`` keeps what they add."""
    gone: list[Override] = [o for o in spec.overrides if o.package in left_out]
    more = [asked for override in gone for asked in override.adds] if adds else []
    conda = spec.conda
    if conda is not None and adds:
        packages = [asked for override in gone for asked in override.conda_adds]
        conda = dataclasses.replace(conda, dependencies=(*conda.dependencies, *packages))
    return dataclasses.replace(
        spec,
        conda=conda,
        overrides=tuple(o for o in spec.overrides if o.package not in left_out),
        pypi=dataclasses.replace(spec.pypi, dependencies=(*spec.pypi.dependencies, *more)),
    )


def _load(place: Path) -> Natural | None:
    """Read what was kept; anything damaged counts as absent."""
    try:
        value = json.loads(place.read_bytes())
        artifacts = tuple(_artifact(item) for item in value["artifacts"])
        return Natural(artifacts=artifacts, reason=value["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _artifact(value: dict[str, Any]) -> Artifact:
    """Return what ``dataclasses.asdict`` made of an artifact, after JSON."""
    conda = value["conda"]
    if conda is not None:
        known = {name: tuple(conda[name]) for name in _TEXTS}
        known |= {name: tuple((one, version) for one, version in conda[name]) for name in _PAIRS}
        conda = CondaRecord(**{**conda, **known})
    lists = {"depends": tuple(value["depends"]), "clobbered": ()}  # settled when all is chosen
    return Artifact(**{**value, **lists, "conda": conda})
