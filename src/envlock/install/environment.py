"""From a lock and its artifacts to an environment in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.errors import UsageError
from envlock.install.files import Installed, install_conda, install_wheel, write_entry
from envlock.install.listing import link_mark, write_listing
from envlock.install.prefix import Marker, check_prefix, publish, staging, write_marker
from envlock.layers.clashes import (
    ITSELF,
    Mark,
    Owners,
    check_parents,
    check_wheels_kept,
    claim,
    claim_packages,
)
from envlock.layers.clobbers import check_kept
from envlock.layers.entry import regular, symlink
from envlock.layers.pack import fingerprint
from envlock.layers.plan import replaced_copies, scheme_of
from envlock.lock.linking import scripts_to_run, undone
from envlock.platforms import PLATFORMS
from envlock.sizes import counted
from envlock.workers import killed_workers, worker_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future, ProcessPoolExecutor
    from pathlib import Path

    from envlock.install.interpreter import Interpreter
    from envlock.layers.condafacts import CondaFacts
    from envlock.layers.entry import Entry
    from envlock.layers.scheme import Scheme
    from envlock.lock.model import Lock
    from envlock.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What was installed.

    env: variables that its packages want to be set; activation and link_scripts: (package,
    path) of scripts that conda would run and envlock does not, if they do more than tell something.
    """

    prefix: Path
    files: int
    env: Mapping[str, str] = field(default_factory=dict)
    activation: tuple[tuple[str, str], ...] = ()
    link_scripts: tuple[tuple[str, str], ...] = ()


def require_this_machine(lock: Lock, machine: str) -> None:
    """Raise UsageError where a lock is for another machine; machine: as uname(2) has it."""
    wanted = PLATFORMS[lock.platform].machine
    if machine != wanted:
        raise UsageError(
            f"{lock.name} is locked for {lock.platform}, and this machine is {machine}",
            hint="--platform names another lock; an image can be built for any platform",
        )


def install(
    lock: Lock,
    paths: Mapping[str, Path],
    prefix: Path,
    interpreter: Interpreter | None,
    reporter: Reporter,
    *,
    workers: int,
    prove: Callable[[Path, Marker], None] | None,
) -> Environment:
    """Install a lock's conda packages and wheels into ``prefix``; ``paths`` by sha256.

    interpreter: the machine's Python for a lock without one; prove: gets the folder that will
    be ``prefix``, and raises to keep it from becoming that.  Then, and after any other error,
    ``prefix`` is as it was.  Raises UsageError, IntegrityError, ArtifactError, DiskError.
    """
    place = check_prefix(prefix)
    scheme = scheme_of(lock, str(place).lstrip("/"))
    with staging(place) as root:
        done = _install_all(lock, paths, scheme, root, reporter, workers)
        files = _complete(lock, done, _own(lock, interpreter, scheme), scheme, root)
        packages = [one.facts for one in done if one.facts is not None]
        marker = Marker(
            lock=lock,
            python=None if interpreter is None else str(interpreter.base),
            env=_variables(packages),
        )
        write_marker(root, marker)
        write_listing(root, files)
        root.chmod(0o755)
        if prove is not None:
            prove(root, marker)
        publish(root, place)
    return Environment(
        prefix=place,
        files=len(files),
        env=marker.env,
        activation=tuple((facts.name, path) for facts in packages for path in facts.activation),
        link_scripts=(
            *((one.package, path) for one in undone(lock) for path in one.scripts),
            *((script.package, script.path) for script in scripts_to_run(lock)),
        ),
    )


def _own(lock: Lock, interpreter: Interpreter | None, scheme: Scheme) -> list[Entry]:
    """Return what belongs to no artifact."""
    own = [] if interpreter is None else _links(interpreter, scheme)
    if lock.of_kind("conda"):
        own.append(regular(f"{scheme.prefix}/conda-meta/history", b""))
    return own


def _complete(
    lock: Lock, done: Sequence[Installed], own: Sequence[Entry], scheme: Scheme, root: Path
) -> dict[str, Mark]:
    """Write links and ``own`` entries; return the mark of each file by its path below the prefix.

    Raises ArtifactError, before it writes any, where two artifacts put different things at one
    path or a path leads through a link.
    """
    owners: Owners = {}
    for entry in own:
        claim(owners, entry.path, (0, -1), ITSELF)
    _claim_all(owners, lock, done, scheme.prefix)
    for entry in (*(link for one in done for link in one.links), *own):
        write_entry(entry, scheme, root)
    return _listing(owners, own, scheme.prefix)


def _claim_all(owners: Owners, lock: Lock, done: Sequence[Installed], prefix: str) -> None:
    """Raise ArtifactError where two artifacts put different files at one path."""
    conda = {one.name: one.facts.nodes for one in done if one.facts is not None}
    linked = ((one.name, one.marks) for one in done if one.facts)
    claim_packages(owners, "conda", linked, prefix)
    wheels = {one.name: one.marks for one in done if one.facts is None}
    claim_packages(owners, "pypi", wheels.items(), prefix)
    check_parents(owners)
    check_kept(lock.of_kind("conda"), conda, prefix)
    check_wheels_kept(lock, wheels, prefix)


def _listing(owners: Owners, own: Sequence[Entry], prefix: str) -> dict[str, Mark]:
    """Return the mark of each file by its path below the prefix."""
    marks = {path: mark for path, (mark, _) in owners.items()}
    for entry in own:
        link = entry.kind == "symlink"
        marks[entry.path] = link_mark(entry.target) if link else fingerprint(entry)
    return {path.removeprefix(f"{prefix}/"): mark for path, mark in marks.items()}


def _variables(packages: Sequence[CondaFacts]) -> dict[str, str]:
    return {name: text for facts in packages for name, text in sorted(facts.env.items())}


def _install_all(
    lock: Lock,
    paths: Mapping[str, Path],
    scheme: Scheme,
    root: Path,
    reporter: Reporter,
    workers: int,
) -> list[Installed]:
    """Write every artifact's files, the largest first; return them in the lock's order."""
    artifacts = [*lock.of_kind("conda"), *lock.of_kind("pypi")]
    label = f"installing {counted(len(artifacts), 'artifact')}"
    total = sum(artifact.size for artifact in artifacts)
    with (
        reporter.task(label, total, "bytes") as task,
        worker_pool(workers) as pool,
        killed_workers(),
    ):
        futures = _submit(pool, lock, paths, scheme, root)
        done = []
        for artifact in artifacts:
            done.append(futures[artifact.sha256].result())
            task.advance(artifact.size)
    return done


def _submit(
    pool: ProcessPoolExecutor,
    lock: Lock,
    paths: Mapping[str, Path],
    scheme: Scheme,
    root: Path,
) -> dict[str, Future[Installed]]:
    without = replaced_copies(lock)
    futures = {}
    for artifact in sorted(lock.artifacts, key=lambda artifact: -artifact.size):
        path = paths.get(artifact.sha256)
        if artifact.kind == "debian" or path is None:
            continue
        if artifact.kind == "conda":
            copy = without.get(artifact.name)
            future = pool.submit(install_conda, artifact, path, scheme, root, copy)
        else:
            future = pool.submit(install_wheel, artifact, path, scheme, root)
        futures[artifact.sha256] = future
    return futures


def _links(interpreter: Interpreter, scheme: Scheme) -> list[Entry]:
    """Return what makes a folder a virtual environment of an interpreter (PEP 405)."""
    prefix, version = scheme.prefix, scheme.python
    config = (
        f"home = {interpreter.program.parent}\n"
        "include-system-site-packages = false\n"
        f"version = {interpreter.version}\n"
    )
    return [
        regular(f"{prefix}/pyvenv.cfg", config.encode()),
        symlink(f"{prefix}/bin/python{version}", str(interpreter.program)),
        symlink(f"{prefix}/bin/python3", f"python{version}"),
        symlink(f"{prefix}/bin/python", f"python{version}"),
        symlink(f"{prefix}/lib64", "lib"),
    ]
