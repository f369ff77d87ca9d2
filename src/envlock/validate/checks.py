"""Prove an image: run inside it what its lock promises.

``validate_image`` is a list of steps: read the layout, make the root file system, ask the
image's Python what is installed, then compare and run.  Every command has a sandbox of its own,
so that neither a crash nor a leftover process of one check touches the next.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envlock.layers.plan import conda_python
from envlock.limits import Limits
from envlock.platforms import PLATFORMS
from envlock.requirements import Installed, check_requirements
from envlock.sizes import counted
from envlock.validate.acceptance import with_acceptance
from envlock.validate.foreign import HINT
from envlock.validate.gpu.driver import is_visible
from envlock.validate.gpu.run import GpuRunner
from envlock.validate.inside import enter
from envlock.validate.inventory import Inventory, take_inventory
from envlock.validate.layout import open_layout
from envlock.validate.lookup import require_runnable
from envlock.validate.missing import tell_missing
from envlock.validate.outcome import explain
from envlock.validate.results import GpuFacts, OverrideFacts, Report, Result
from envlock.validate.rootfs import prepare_rootfs
from envlock.validate.runner import NO_GPU, NOT_ASKED, Runner, described
from envlock.validate.sandbox import Completed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from envlock.lock.model import Lock
    from envlock.progress import Reporter
    from envlock.requirements import Violation
    from envlock.validate.gpu.driver import Gpu
    from envlock.validate.inside import Inside
    from envlock.validate.layout import Config
    from envlock.validate.sandbox import Sandbox

LIMITS = Limits()
"""What one check may use up, unless the caller says otherwise."""

_SYSTEM = ("/usr/lib/python3/",)
"""Where Debian's packages put distributions; they are dpkg's, not the lock's ``pypi`` ones."""


def validate_image(
    layout: Path,
    lock: Lock,
    *,
    cache: Path,
    sandbox: Sandbox,
    reporter: Reporter,
    limits: Limits = LIMITS,
    gpu: Gpu | None = None,
) -> Report:
    """Check the image in ``layout`` (a directory or a tar of it) against its lock.

    limits: of each check; gpu: run the ``gpu`` checks with this, else report them as not
    run.  A failed check is part of the report and not an exception.  A lock without
    distributions has none to compare, and asks no Python.  Raises UsageError,
    IntegrityError, ArtifactError and DiskError for the image, SandboxError for the sandbox.
    """
    started = time.monotonic()
    image = open_layout(layout, architecture=PLATFORMS[lock.platform].oci)
    rootfs = prepare_rootfs(image, cache=cache, reporter=reporter)
    report = validate_rootfs(
        rootfs,
        image.config,
        lock,
        sandbox=sandbox,
        reporter=reporter,
        limits=limits,
        gpu=gpu,
    )
    return replace(report, image=image.manifest, seconds=time.monotonic() - started)


def validate_rootfs(
    rootfs: Path,
    config: Config,
    lock: Lock,
    *,
    sandbox: Sandbox,
    reporter: Reporter,
    limits: Limits = LIMITS,
    gpu: Gpu | None = None,
) -> Report:
    """Check an unpacked image, whose ``config`` says how commands start there.

    As :func:`validate_image`; the report names no image.
    """
    started = time.monotonic()
    inside = enter(rootfs, config, sandbox, limits=limits)
    require_runnable(inside, config.architecture, f"python{lock.python}", hint=HINT)
    report = run_checks(inside, lock, reporter, gpu=gpu)
    results = (
        *report.results,
        *tell_missing(rootfs, report.results),
        *_notes(config.workdir, inside.workdir),
    )
    return replace(report, results=results, seconds=time.monotonic() - started)


def run_checks(inside: Inside, lock: Lock, reporter: Reporter, *, gpu: Gpu | None = None) -> Report:
    """Run the checks of a lock and of its overrides; the report names no image and no time."""
    python = f"python{lock.python}"
    overrides = list(_overrides(lock))
    planned: list[tuple[str | None, Any]]
    planned = [(facts.package, check) for facts, checks in overrides for check in checks]
    planned += [(None, check) for check in _list_of(lock.spec, "checks")]
    seen: GpuFacts | None = None
    with reporter.task("run the checks", len(planned) + 1, "items") as task:
        inventory: Inventory | Completed | None = None
        results: list[Result] = []
        if lock.of_kind("pypi") or conda_python(lock):  # else there need not be a Python
            reporter.note("ask the environment's Python what is installed")
            inventory = take_inventory(inside, python)
            environment = PLATFORMS[lock.platform].marker_environment(lock.python)
            results += _facts(inventory, lock, environment)
        task.advance(1)
        with_gpu: GpuRunner | str = NOT_ASKED if is_visible() else NO_GPU
        if gpu is not None:
            seen, with_gpu, looked = _look(inside, lock, gpu)
            results += looked
        runner = Runner(inside, python, inventory, with_gpu)
        for number, (package, check) in enumerate(planned, 1):
            reporter.note(f"check {number} of {len(planned)}: {described(check, package)}")
            results.append(runner.check(check, package))
            task.advance(1)
    return Report(
        name=lock.name,
        platform=lock.platform,
        image="",
        overrides=tuple(facts for facts, _ in overrides),
        results=tuple(with_acceptance(results, lock.spec)),
        seconds=0,
        gpu=seen,
    )


def _look(inside: Inside, lock: Lock, gpu: Gpu) -> tuple[GpuFacts, GpuRunner, list[Result]]:
    """Ask the driver from inside, and hold it against the CUDA that the platform wants."""
    runner = GpuRunner(inside=inside, python=f"python{lock.python}", gpu=gpu)
    platform = lock.spec.get("platform")
    wanted = platform.get("cuda") if isinstance(platform, Mapping) else None
    facts, runner, result = runner.look(wanted)
    return facts, runner, [result] if result else []


def _notes(workdir: str, used: str) -> list[Result]:
    """Say where the checks ran if not where the image's containers start."""
    if workdir in {"", used}:
        return []
    subject = f"{workdir} is not a directory of the image; the checks ran in {used}"
    return [Result(kind="check", subject=subject, status="noted")]


def compare_distributions(installed: Sequence[Installed], lock: Lock) -> Result:
    """Compare what is installed with the lock's distributions, both ways."""
    locked = _locked_distributions(lock)
    ours = [item for item in installed if not f"{item.location}/".startswith(_SYSTEM)]
    found = {canonicalize_name(item.name): item.version for item in reversed(ours)}
    detail = [
        f"{name} {locked[name]} is locked and not installed"
        for name in sorted(locked - found.keys())
    ]
    detail += [
        f"{name or 'a distribution without a name'} {found[name]} is installed and not locked"
        for name in sorted(found.keys() - locked)
    ]
    detail += [
        f"{name} is {found[name]}, locked is {locked[name]}"
        for name in sorted(found.keys() & locked.keys())
        if not _same_version(found[name], locked[name])
    ]
    counts = Counter(canonicalize_name(item.name) for item in ours)
    detail += [f"{name} is installed {count} times" for name, count in counts.items() if count > 1]
    if detail:
        subject = "the installed distributions are not the locked ones"
        return Result(kind="distributions", subject=subject, status="failed", detail=tuple(detail))
    one, more = "distribution is the locked one", "distributions are the locked ones"
    return Result(kind="distributions", subject=counted(len(locked), one, more), status="passed")


def _locked_distributions(lock: Lock) -> dict[str, str]:
    """Return the version of each distribution: wheels', and those that conda packages bring."""
    brought = {
        canonicalize_name(name): version
        for item in lock.of_kind("conda")
        if item.conda is not None
        for name, version in item.conda.provides
    }
    wheels = {canonicalize_name(item.name): item.version for item in lock.of_kind("pypi")}
    return {str(name): version for name, version in (brought | wheels).items()}


def judge_requirements(
    installed: Sequence[Installed], lock: Lock, environment: Mapping[str, str]
) -> list[Result]:
    """Check that all requirements hold but for those that the lock's overrides void."""
    silent = [
        Installed(name=name, version=version)
        for item in lock.of_kind("conda")
        if item.conda is not None
        for name, version in item.conda.stands_for
    ]
    verdict = check_requirements(
        [*installed, *silent],  # what tells of itself comes first
        environment,
        voided=lock.voided,
        roots=lock.roots,
    )
    condas = [one for one in verdict.violations if _is_condas_own(one, lock)]
    verdict = replace(
        verdict, violations=tuple(one for one in verdict.violations if one not in condas)
    )
    voided = [str(violation) for violation in verdict.voided]
    if verdict.ok:
        subject = f"{counted(verdict.held, 'requirement holds', 'requirements hold')}"
        if voided:
            subject += f"; {len(voided)} voided: {'; '.join(voided)}"
        results = [Result(kind="requirements", subject=subject, status="passed")]
    else:
        broken = [*map(str, verdict.violations), *verdict.malformed]
        one = len(broken) == 1
        subject = (
            f"{counted(len(broken), 'requirement')} {'does' if one else 'do'} not hold, "
            f"and no override voids {'it' if one else 'them'}"
        )
        results = [
            Result(kind="requirements", subject=subject, status="failed", detail=tuple(broken))
        ]
    for void in verdict.unused:
        subject = f"{void.dependent} {void.version}: {void.requirement} need not be voided"
        results.append(Result(kind="void", subject=subject, status="noted"))
    for violation in condas:
        subject = f"{violation}; both are conda's, whose own pins allow it"
        results.append(Result(kind="requirements", subject=subject, status="noted"))
    return results


def _is_condas_own(violation: Violation, lock: Lock) -> bool:
    """Tell whether METADATA of a conda package asks for what no wheel is about.

    conda-forge corrects pins in its own metadata and not in METADATA, and names what it needs
    by its own names; what conda's solve accepted stays accepted.
    """
    brought = {
        canonicalize_name(name)
        for item in lock.of_kind("conda")
        if item.conda is not None
        for name, _ in item.conda.provides
    }
    wheels = {canonicalize_name(item.name) for item in lock.of_kind("pypi")}
    wanted = canonicalize_name(Requirement(violation.requirement).name)
    return canonicalize_name(violation.dependent) in brought - wheels and wanted not in wheels


def _facts(
    inventory: Inventory | Completed, lock: Lock, environment: Mapping[str, str]
) -> list[Result]:
    if isinstance(inventory, Completed):
        return [
            Result(
                kind="python",
                subject=f"python{lock.python} does not tell what is installed",
                status="failed",
                detail=explain(inventory, f"python{lock.python}"),
                seconds=inventory.seconds,
            )
        ]
    results = []
    if not f"{inventory.python}.".startswith(f"{lock.python}."):
        subject = f"Python is {inventory.python}, locked is {lock.python}"
        results.append(Result(kind="python", subject=subject, status="failed"))
    results.append(compare_distributions(inventory.distributions, lock))
    return results + judge_requirements(inventory.distributions, lock, environment)


def _overrides(lock: Lock) -> Iterator[tuple[OverrideFacts, list[Any]]]:
    """Give what each locked override says of itself, and the checks that its spec asks for."""
    asked = {
        canonicalize_name(str(item.get("package", ""))): item
        for item in _list_of(lock.spec, "overrides")
        if isinstance(item, Mapping)
    }
    for override in lock.overrides:
        spec = asked.get(canonicalize_name(override.package), {})
        facts = OverrideFacts(
            package=override.package,
            version=override.version,
            against=tuple(
                f"{void.dependent} {void.version}: {void.requirement.partition(';')[0].strip()}"
                for void in override.voids
            ),
            because=str(spec.get("because") or ""),
        )
        yield facts, _list_of(spec, "checks")


def _list_of(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return list(value) if isinstance(value, (list, tuple)) else []


def _same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
