"""Whose pins a forced version breaks: found by solving without it.

A file says that ``triton==2.3.1`` is installed over everything else; an override says whose
requirement that sets aside.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envlock.errors import EnvlockError
from envlock.intake.draft import Item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.intake.draft import Draft, Forced
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.solve.python import PythonSolvers
    from envlock.spec.model import Spec


def settle_forced(draft: Draft, found: tuple[Artifact, ...] | EnvlockError) -> None:
    """Make each forced version an override, a plain requirement, or a constraint.

    found: the wheels that would be chosen without the forced versions, or why that is not
    known: then a constraint stands in the spec, and the solve tells what it is against.
    """
    open_ones = [one for one in draft.forced if not one.against]
    draft.forced = [one for one in draft.forced if one.against]
    for one in open_ones:
        pin = f"{one.package}=={one.version}"
        item = Item(text=pin, name=one.package, where=one.where)
        if isinstance(found, EnvlockError):
            draft.pypi_constraints.append(item)
            draft.note(
                one.where,
                f"{pin} is forced, and whose pin is against it could not be found out "
                f"({found.message}): it is a constraint now, and envlock solve says what to write",
            )
            continue
        against = dict(_against(one, found))
        if against:
            draft.forced.append(dataclasses.replace(one, against=against))
        else:
            draft.pypi.append(item)
            draft.note(one.where, f"{pin} is forced, but nobody's pin is against it: no override")


def natural(spec: Spec, solvers: PythonSolvers, reporter: Reporter) -> tuple[Artifact, ...]:
    """Return the wheels of the first platform; raises EnvlockError where there is no solution."""
    from envlock.solve.python import solve_python

    return solve_python(spec, spec.targets[0], solvers, reporter, explained=False).wheels


def _against(one: Forced, wheels: tuple[Artifact, ...]) -> Iterator[tuple[str, str]]:
    for wheel in wheels:
        for text in wheel.depends:
            requirement = Requirement(text)
            if canonicalize_name(requirement.name) != one.package:
                continue
            if not requirement.specifier.contains(one.version, prereleases=True):
                requirement.marker = None
                yield wheel.name, str(requirement)
