"""What ``envlock solve -U`` would lock now, and the overrides that stop it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.errors import OverrideError, UnsatisfiableError
from envlock.progress import SILENT
from envlock.solve.python import solve_python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.progress import Reporter
    from envlock.solve.python import PythonSolvers
    from envlock.spec.model import Spec, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The newest conda packages and wheels that the spec allows.

    versions: by kind and name; refused: by their place in the spec, why overrides are refused,
    which are left out of the solution; problem: why there is no solution at all.
    """

    versions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    refused: Mapping[str, OverrideError] = field(default_factory=dict)
    problem: str | None = None


def allowed_now(spec: Spec, target: Target, solvers: PythonSolvers, reporter: Reporter) -> Allowed:
    """Solve anew, without the overrides that are refused; raises FetchError, ArtifactError."""
    refused: dict[str, OverrideError] = {}
    while True:
        try:
            with reporter.task(f"solving {spec.name} with the newest versions"):
                found = solve_python(spec, target, solvers, SILENT, explained=False)
        except OverrideError as error:
            left = tuple(one for one in spec.overrides if str(one.location) != error.where)
            if len(left) == len(spec.overrides):  # no override that has a place of its own
                return Allowed(refused=refused, problem=error.message)
            refused[str(error.where)] = error
            spec = dataclasses.replace(spec, overrides=left)
        except UnsatisfiableError as error:
            return Allowed(refused=refused, problem=error.message)
        else:
            versions: dict[tuple[str, str], str] = {
                (one.kind, one.name): one.version for one in found.artifacts
            }
            return Allowed(versions=versions, refused=refused)
