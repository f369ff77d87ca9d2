"""``envlock solve``: from specs to locks, and whether locks are fresh."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.attesting import with_attestations
from envlock.cli.complete import environments
from envlock.cli.context import Context
from envlock.cli.many import ALL_HELP, check_all, each, tell_solved
from envlock.cli.output import error_document, megabytes
from envlock.cli.yanked import tell_yanked, yanked_data
from envlock.errors import (
    EnvlockError,
    LockError,
    StaleLockError,
    StaleOverrideError,
    UnsatisfiableError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.lock.model import Kind, Lock
    from envlock.review import Review
    from envlock.spec.model import Spec, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """How to solve: what to move on, and whether and how strictly to audit."""

    upgrade: bool
    packages: frozenset[str]
    audit: bool
    strict: bool


_THINGS: tuple[tuple[Kind, str], ...] = (
    ("conda", "conda package"),
    ("pypi", "wheel"),
    ("debian", "Debian package"),
)
"""What a lock counts, in this order."""


@command("solve")
def solve_command(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Environments; all of envs/ by default.", autocompletion=environments),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help=ALL_HELP)] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether the locks are fresh; offline.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", "-U", help="Take the newest of everything.")
    ] = False,
    upgrade_package: Annotated[
        list[str] | None,
        typer.Option("--upgrade-package", "-P", help="Take the newest of one package."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use caches only.")] = False,
    no_audit: Annotated[
        bool, typer.Option("--no-audit", help="Do not look into the locked code.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Fail for every import that cannot work and for yanked files; with --check, "
            "also for a proof of another image.",
        ),
    ] = False,
) -> None:
    """Solve specs into locks (locks/NAME.PLATFORM.lock.json).

    The locked code is audited: what an override breaks and nobody accepted fails the solve.
    Of several environments, one that fails does not stop the others.
    """
    state: Context = context.obj
    state.offline = offline
    check_all(names, everything)
    if check:
        specs = [state.spec(name) for name in state.names(names)]
        targets = [(spec, target) for spec in specs for target in spec.targets]
        _check_all(state, targets, strict=strict)
        return
    wish = _Wish(
        upgrade=upgrade,
        packages=_names(upgrade_package or ()),
        audit=not no_audit,
        strict=strict,
    )

    def one(name: str) -> list[dict[str, Any]]:
        spec = state.spec(name)
        return [_solve(state, spec, target, wish) for target in spec.targets]

    outcome = each(state.output, state.names(names), one)
    tell_solved(state.output, outcome)
    state.output.document({"environments": outcome.documents, "failed": outcome.failed})
    outcome.leave()


def _check_all(state: Context, targets: Sequence[tuple[Spec, Target]], *, strict: bool) -> None:
    """Tell of every lock whether it is fresh; exit with 1 if one is not."""
    documents = []
    for spec, target in targets:
        document: dict[str, Any] = {"name": spec.name, "platform": target.name, "fresh": True}
        try:
            lock = _check(state, spec, target)
            tell_yanked(state, lock, strict=strict)
            proof = _check_proof(state, lock, strict=strict)
            document |= {"proof": proof} if proof else {}
        except (LockError, StaleLockError) as error:
            state.output.problem(error)
            document |= {"fresh": False, "error": error_document(error)}
        documents.append(document)
    state.output.document({"environments": documents})
    if not all(document["fresh"] for document in documents):
        raise typer.Exit(StaleLockError.exit_code)


def _check(state: Context, spec: Spec, target: Target) -> Lock:
    from envlock.lock.attested import unattested
    from envlock.lock.check import differences, unanswered
    from envlock.lock.codec import load_lock
    from envlock.lock.model import PACKER
    from envlock.spec.projection import project

    path = state.project.lock(spec.name, target.name)
    lock: Lock = _shown(state, lambda: load_lock(path))
    found = differences(project(spec, target.name), lock)
    if found:
        raise StaleLockError(
            f"the lock does not answer {spec.file} any more",
            where=state.project.shown(path),
            details=[f"  {line}" for line in found],
            hint=f"run envlock solve {spec.name} and check the lock in",
        )
    idle = unanswered(lock)
    if idle:
        raise StaleLockError(
            "the lock does not answer what the spec accepts",
            where=state.project.shown(path),
            details=[f"  {line}" for line in idle],
            hint=f"run envlock solve {spec.name} and check the lock in",
        )
    unproven = unattested(lock)
    if unproven:
        raise StaleLockError(
            "the lock does not say who published what the spec requires it of",
            where=state.project.shown(path),
            details=[f"  {line}" for line in unproven],
            hint=f"run envlock solve {spec.name} and check the lock in",
        )
    broken = [*_unmet(lock), *_unmet_conda(lock)]
    if broken:
        raise StaleLockError(
            "the locked packages do not fit together",
            where=state.project.shown(path),
            details=[f"  {line}" for line in broken],
            hint=f"run envlock solve {spec.name} and check the lock in",
        )
    if lock.merged:
        raise StaleLockError(
            "a merge joined the lock, and no solve has looked at it since",
            where=state.project.shown(path),
            hint=f"run envlock solve {spec.name}, which keeps what fits, and check the lock in",
        )
    if lock.packer != PACKER:
        raise StaleLockError(
            f"the lock is for packer {lock.packer}; this envlock packs by {PACKER}",
            where=state.project.shown(path),
            hint=f"run envlock solve {spec.name}",
        )
    audited = "" if lock.audit is not None else " (not audited)"
    state.output.message(f"{spec.name} {target.name}: fresh{audited}")
    return lock


def _check_proof(state: Context, lock: Lock, *, strict: bool) -> str | None:
    """Tell of a recorded proof that is about something else: a failure only if ``strict``.

    Returns "fresh", "stale", or None where there is none.
    """
    from envlock.lock.proof import load_proof, proof_path, staleness

    path = proof_path(state.project.root / "locks", lock.name, lock.platform)
    if not path.exists():
        return None
    proof = _shown(state, lambda: load_proof(path))
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


def _names(written: Sequence[str]) -> frozenset[str]:
    """Return package names as PyPI normalizes them and as Debian knows them."""
    from packaging.utils import canonicalize_name

    return frozenset({*written, *map(canonicalize_name, written)})


def _solve(state: Context, spec: Spec, target: Target, wish: _Wish) -> dict[str, Any]:
    from envlock.cli.advising import with_advice
    from envlock.cli.bases import base_for, tell_base
    from envlock.cli.stale import with_lines
    from envlock.files import write_atomically
    from envlock.lock.base import plain_base
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
    changed = not path.is_file() or path.read_text() != text
    if changed:
        write_atomically(path, text.encode())
    tell_base(state, lock, seen)
    _summarise(state, spec, lock, previous, found, changed=changed)
    return {
        "review": review_to_data(found) if found is not None else None,
        "name": lock.name,
        "platform": lock.platform,
        "lock": state.project.shown(path),
        "changed": changed,
        "artifacts": len(lock.artifacts),
        "yanked": yanked_data(lock),
        "bytes": sum(artifact.size for artifact in lock.artifacts),
        "base": plain_base(base) if base is not None else None,
        "voided": [
            {"dependent": void.dependent, "version": void.version, "requirement": void.requirement}
            for void in (*lock.voided, *lock.voided_conda)
        ],
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


def _reviewed(state: Context, spec: Spec, target: Target, lock: Lock, wish: _Wish) -> Review | None:
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


def _summarise(
    state: Context,
    spec: Spec,
    lock: Lock,
    previous: Lock | None,
    found: Review | None,
    *,
    changed: bool,
) -> None:
    from envlock.cli.reviewing import tell, tell_more
    from envlock.cli.stale import tell_waiting
    from envlock.lock.linking import undone

    say = state.output.message
    for line in _changes(previous, lock):
        say(f"  {line}")
    tell(state, lock, found)
    tell_waiting(state, spec, lock)
    if found is not None:
        tell_more(state, spec, found)
    unhandled = [s for s in (lock.debian.scripts if lock.debian else ()) if s.unhandled]
    if unhandled and changed:
        packages = sorted({script.package for script in unhandled})
        state.output.warn(
            f"{len(packages)} Debian packages have maintainer scripts whose effects the image "
            f"will lack: {', '.join(packages)} (see debian.scripts in the lock)"
        )
    for one in undone(lock) if changed else ():
        state.output.warn(
            f"the image will lack what the post-link script of {one.package} does: "
            f"{'; '.join(one.commands)} (conda.link-scripts: {{{one.package}: run}}, or skip)"
        )
    size = megabytes(sum(artifact.size for artifact in lock.artifacts))
    path = state.project.shown(state.project.lock(lock.name, lock.platform))
    counts = [_counted(len(lock.of_kind(kind)), thing) for kind, thing in _THINGS]
    if not lock.of_kind("conda"):
        del counts[0]
    count = ", ".join(counts)
    if lock.base is not None:
        count += f" on {lock.base.reference} ({lock.base.os}, {megabytes(lock.base.size)})"
    say(
        f"{lock.name} {lock.platform}: {count}, {size} {'->' if changed else 'unchanged in'} {path}"
    )
    if previous is None:
        say(f"check it in; next: envlock build {lock.name}")


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _changes(previous: Lock | None, lock: Lock) -> list[str]:
    """Return one line for each artifact that came, went or changed its version."""
    if previous is None:
        return []
    old = {(a.kind, a.name): a.version for a in previous.artifacts}
    new = {(a.kind, a.name): a.version for a in lock.artifacts}
    lines = []
    below = previous.base.manifest if previous.base else None
    if lock.base is not None and below != lock.base.manifest:
        lines.append(f"~ base image {below or 'none'} -> {lock.base.manifest}")
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before is None:
            lines.append(f"+ {key[1]} {after}")
        elif after is None:
            lines.append(f"- {key[1]} {before}")
        elif before != after:
            lines.append(f"~ {key[1]} {before} -> {after}")
    return lines


def _shown(state: Context, load: Any) -> Any:
    """Name the lock in errors as the project sees it."""
    try:
        return load()
    except EnvlockError as error:
        if error.where:
            error.where = error.where.replace(f"{state.project.root}/", "")
        raise
