"""``envlock solve --check``: whether locks answer their specs, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.cli.many import each
from envlock.cli.output import error_document
from envlock.cli.yanked import tell_yanked
from envlock.errors import LockError, StaleLockError, UnsatisfiableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from envlock.cli.context import Context
    from envlock.lock.model import Lock
    from envlock.spec.model import Spec, Target


def check_fresh(state: Context, names: Sequence[str], *, strict: bool) -> None:
    """Tell of every lock whether it is fresh; exit with 1 if one is not.

    Of several environments, one whose spec cannot be read does not stop the others; the exit
    code is the gravest then.  Of a single one that error goes up.
    """

    def one(name: str) -> list[dict[str, Any]]:
        spec = state.spec(name)
        _tell_left_over(state, spec)
        return [_checked(state, spec, target, strict=strict) for target in spec.targets]

    outcome = each(state.output, names, one)
    state.output.document({"environments": outcome.documents, "failed": outcome.failed})
    stale = not all(document["fresh"] for document in outcome.documents)
    outcome.leave(*([StaleLockError.exit_code] if stale else []))


def _tell_left_over(state: Context, spec: Spec) -> None:
    """Warn of locks for platforms that a spec does not have: they would still be built."""
    from envlock.platforms import PLATFORMS

    for platform in sorted(PLATFORMS.keys() - {target.name for target in spec.targets}):
        path = state.project.lock(spec.name, platform)
        if path.exists():
            state.output.warn(
                f"{state.project.shown(path)}: {spec.file} is not for {platform}, and no solve "
                "renews this lock: remove it"
            )


def _checked(state: Context, spec: Spec, target: Target, *, strict: bool) -> dict[str, Any]:
    """Tell whether a lock is fresh, to people now, and to machines by what is returned."""
    document: dict[str, Any] = {"name": spec.name, "platform": target.name, "fresh": True}
    try:
        lock = _check(state, spec, target)
        tell_yanked(state, lock, strict=strict)
        proof = _check_proof(state, lock, strict=strict)
    except (LockError, StaleLockError) as error:
        state.output.problem(error)
        return document | {"fresh": False, "error": error_document(error)}
    return document | ({"proof": proof} if proof else {})


def _check(state: Context, spec: Spec, target: Target) -> Lock:
    lock = state.lock(spec.name, target.name)
    for message, lines in _objections(spec, target, lock):
        raise StaleLockError(
            message,
            where=state.project.shown(state.project.lock(spec.name, target.name)),
            details=[f"  {line}" for line in lines],
            hint=f"run envlock solve {spec.name} and check the lock in",
        )
    audited = "" if lock.audit is not None else " (not audited)"
    state.output.message(f"{spec.name} {target.name}: fresh{audited}")
    return lock


def _objections(spec: Spec, target: Target, lock: Lock) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield why a lock is not the answer to its spec, with lines that show it."""
    from envlock.lock.attested import unattested
    from envlock.lock.check import differences, unanswered
    from envlock.lock.model import PACKER
    from envlock.spec.projection import project

    looks: tuple[tuple[str, Callable[[], Sequence[str]]], ...] = (
        (
            f"the lock does not answer {spec.file} any more",
            lambda: differences(project(spec, target.name), lock),
        ),
        ("the lock does not answer what the spec accepts", lambda: unanswered(lock)),
        (
            "the lock does not say who published what the spec requires it of",
            lambda: unattested(lock),
        ),
        (
            "the locked packages do not fit together",
            lambda: [*_unmet(lock), *_unmet_conda(lock)],
        ),
    )
    for message, look in looks:
        lines = look()
        if lines:
            yield message, lines
    if lock.merged:
        yield "a merge joined the lock, and no solve has looked at it since", ()
    if lock.packer != PACKER:
        yield f"the lock is for packer {lock.packer}; this envlock packs by {PACKER}", ()


def _check_proof(state: Context, lock: Lock, *, strict: bool) -> str | None:
    """Tell of a recorded proof that is about something else: a failure only if ``strict``.

    Returns "fresh", "stale", or None where there is none.
    """
    from envlock.lock.proof import load_proof, proof_path, staleness

    path = proof_path(state.project.root / "locks", lock.name, lock.platform)
    if not path.exists():
        return None
    proof = load_proof(path, state.project.shown(path))
    found = next(staleness(proof, lock), None)
    if found is None:
        return "fresh"
    message = f"{state.project.shown(path)}: {found}"
    if strict:
        raise StaleLockError(
            message, hint=f"run envlock validate {lock.name} --record, with --gpu on such a machine"
        )
    state.output.warn(message)
    return "stale"


def _unmet(lock: Lock) -> list[str]:
    """Return the requirements of the spec and of locked distributions that do not hold."""
    from envlock.platforms import PLATFORMS
    from envlock.requirements import Installed, check_requirements

    locked = [
        Installed(name=a.name, version=a.version, requires=a.depends) for a in lock.of_kind("pypi")
    ]
    locked += [  # after the wheels, which may replace them
        Installed(name=name, version=version)
        for artifact in lock.of_kind("conda")
        for name, version in artifact.distributions
    ]
    environment = PLATFORMS[lock.platform].marker_environment(lock.python)
    verdict = check_requirements(locked, environment, voided=lock.voided, roots=lock.roots)
    return [*map(str, verdict.violations), *verdict.malformed]


def _unmet_conda(lock: Lock) -> list[str]:
    """Return the entries of locked conda packages that do not hold and are not voided."""
    if not lock.of_kind("conda"):
        return []
    from envlock.solve.conda.check import unmet_entries

    try:
        return unmet_entries(lock)
    except UnsatisfiableError as error:  # an entry or a version that nothing can be made of
        return [error.message]
