"""One spec and platform to one lock: solved, reviewed, attested, written."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from envlock.cli.attesting import with_attestations
from envlock.cli.clobbers import clobber_data
from envlock.cli.solved import tell_lock
from envlock.cli.yanked import tell_yanked, yanked_data
from envlock.errors import LockError, StaleLockError, StaleOverrideError
from envlock.lock.compare import given_way

if TYPE_CHECKING:
    from envlock.cli.context import Context
    from envlock.lock.model import Lock
    from envlock.review import Review
    from envlock.spec.model import Spec, Target


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to solve: what to move on, and whether and how strictly to audit."""

    upgrade: bool
    packages: frozenset[str]
    audit: bool
    strict: bool


def solve_one(state: Context, spec: Spec, target: Target, wish: Wish) -> dict[str, Any]:
    """Solve a spec for a platform, write the lock, and return what machines are told of it.

    Nothing is written where the solve, the review of its overrides or a proof of who published
    its wheels fails: raises EnvlockError.
    """
    from envlock.cli.advising import with_advice
    from envlock.cli.bases import base_for, tell_base
    from envlock.cli.stale import with_lines
    from envlock.files import write_atomically
    from envlock.lock.codec import dump_lock
    from envlock.review import ReviewError, review_to_data, section_of
    from envlock.solve import solve
    from envlock.solve.pypi.diagnose import ConflictError

    path = state.project.lock(spec.name, target.name)
    previous = _previous(state, spec, target)
    base, seen = base_for(state, spec, target, previous, upgrade=wish.upgrade)
    try:
        lock = solve(
            spec,
            target,
            state.solvers(spec),
            state.output,
            previous=previous,
            upgrade=wish.upgrade,
            upgrade_packages=wish.packages,
            base=base,
        )
        found = _reviewed(state, spec, target, lock, wish) if wish.audit else None
    except (ConflictError, ReviewError) as conflict:
        raise with_advice(state, spec, target, conflict) from None
    except StaleOverrideError as error:
        raise with_lines(state, spec, error) from None
    if found is not None:
        lock = dataclasses.replace(lock, audit=section_of(found))
    lock = with_attestations(state, spec, lock, previous)
    tell_yanked(state, lock, strict=wish.strict)
    text = dump_lock(_with_digests(lock, previous))
    changed = not path.is_file() or path.read_text("utf-8") != text
    if changed:
        write_atomically(path, text.encode())
    tell_base(state, lock, seen)
    tell_lock(state, spec, lock, previous, found, changed=changed)
    return {
        **_described(lock),
        "review": review_to_data(found) if found is not None else None,
        "lock": state.project.shown(path),
        "changed": changed,
    }


def _described(lock: Lock) -> dict[str, Any]:
    """Return what machines are told of a lock."""
    from envlock.lock.base import plain_base

    return {
        "name": lock.name,
        "platform": lock.platform,
        "artifacts": len(lock.artifacts),
        "yanked": yanked_data(lock),
        "bytes": sum(artifact.size for artifact in lock.artifacts),
        "base": plain_base(lock.base) if lock.base is not None else None,
        "voided": [
            {"dependent": void.dependent, "version": void.version, "requirement": void.requirement}
            for void in (*lock.voided, *lock.voided_conda)
        ],
        "clobbered": clobber_data(given_way(lock.artifacts)),
    }


def _with_digests(lock: Lock, previous: Lock | None) -> Lock:
    """Keep the recorded digests where nothing that decides the image has changed."""
    if previous is None or previous.built is None:
        return lock
    same = previous.image_inputs == lock.image_inputs
    return dataclasses.replace(lock, built=previous.built) if same else lock


def _previous(state: Context, spec: Spec, target: Target) -> Lock | None:
    """Return the lock as it is; one that cannot be trusted is solved anew."""
    from envlock.lock.codec import load_lock

    path = state.project.lock(spec.name, target.name)
    if not path.exists():
        return None
    try:
        return load_lock(path)
    except (LockError, StaleLockError) as error:
        state.output.warn(f"{state.project.shown(path)}: {error.message}; solving from scratch")
        return None


def _reviewed(state: Context, spec: Spec, target: Target, lock: Lock, wish: Wish) -> Review | None:
    """Audit what was solved; raises ReviewError before anything is written."""
    from envlock.cli.reviewing import review_lock, tell, unread_line
    from envlock.review import problem_of, warning_of

    found = review_lock(state, spec, target, lock, fresh=wish.upgrade)
    if found is None:
        return None
    problem = problem_of(spec, found, strict=wish.strict)
    if problem is not None:
        tell(state, lock, found)
        raise problem
    for warning in (warning_of(spec, found), unread_line(found)):
        if warning:
            state.output.warn(warning)
    return found
