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
from envlock.lock.model import Artifact
from envlock.progress import SILENT
from envlock.review.model import Natural
from envlock.solve.pypi.solve import solve_pypi
from envlock.spec.projection import project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from envlock.progress import Reporter
    from envlock.solve.pypi.metadata import MetadataReader
    from envlock.solve.pypi.uv import Uv
    from envlock.spec.model import Override, Spec, Target

FORMAT = 1
"""Version of what is kept."""

_SOLVED_BY = ("projection", "python", "platform", "exclude-newer", "indexes", "index-order", "pypi")


class NaturalSolver:
    """Solves specs with some overrides left out; what was solved is kept below ``cache``."""

    def __init__(
        self,
        uv: Uv,
        metadata: MetadataReader,
        cache: Path,
        *,
        fresh: bool = False,
        reporter: Reporter = SILENT,
    ) -> None:
        self._uv = uv
        self._metadata = metadata
        self._cache = cache
        self._fresh = fresh
        self._reporter = reporter

    def without(
        self, spec: Spec, target: Target, left_out: frozenset[str], locked: Mapping[str, str]
    ) -> Natural:
        """Return the natural solution without the overrides of some packages.

        locked: versions by name, preferred but for those packages.  Raises FetchError.
        """
        preferred = {name: locked[name] for name in sorted(locked) if name not in left_out}
        found = Natural()
        for adds in (True, False):
            found = self._known_or_solved(_reduced(spec, left_out, adds), target, preferred)
            if found.solved or not any(o.adds for o in spec.overrides if o.package in left_out):
                break
        return found

    def _known_or_solved(self, spec: Spec, target: Target, preferred: Mapping[str, str]) -> Natural:
        place = self._cache / f"{self._key(spec, target, preferred)}.json"
        known = None if self._fresh else _load(place)
        if known is not None:
            return known
        try:
            with self._reporter.task(f"solving {spec.name} without an override"):
                solution = solve_pypi(
                    spec,
                    target,
                    self._uv,
                    self._metadata,
                    SILENT,
                    preferred=preferred,
                    explained=False,
                )
        except (UnsatisfiableError, OverrideError) as error:
            found = Natural(reason="\n".join((error.message, *error.details)))
        else:
            found = Natural(artifacts=solution.artifacts)
        value = {"artifacts": [dataclasses.asdict(a) for a in found.artifacts]}
        text = json.dumps({**value, "reason": found.reason}, sort_keys=True)
        write_atomically(place, text.encode())
        return found

    def _key(self, spec: Spec, target: Target, preferred: Mapping[str, str]) -> str:
        asked = project(spec, target.name)
        overrides = [
            [item.package, item.version, {name: str(pin) for name, pin in item.against.items()}]
            for item in spec.overrides
        ]
        inputs: list[Any] = [FORMAT, {key: asked.get(key) for key in _SOLVED_BY}, overrides]
        inputs += [dict(preferred), self._uv.places(spec.indexes)]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _reduced(spec: Spec, left_out: frozenset[str], adds: bool) -> Spec:
    """Return a spec without some overrides; ``adds`` keeps what they add."""
    gone: list[Override] = [o for o in spec.overrides if o.package in left_out]
    more = [asked for override in gone for asked in override.adds] if adds else []
    return dataclasses.replace(
        spec,
        overrides=tuple(o for o in spec.overrides if o.package not in left_out),
        pypi=dataclasses.replace(spec.pypi, dependencies=(*spec.pypi.dependencies, *more)),
    )


def _load(place: Path) -> Natural | None:
    """Read what was kept; anything damaged counts as absent."""
    try:
        value = json.loads(place.read_bytes())
        artifacts = tuple(
            Artifact(**{**item, "depends": tuple(item["depends"])}) for item in value["artifacts"]
        )
        return Natural(artifacts=artifacts, reason=value["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
