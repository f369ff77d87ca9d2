"""One lock for one target: the OS layer, the PyPI packages, and what they need of each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import SpecError, UnsatisfiableError, UsageError
from envlock.lock.model import Lock
from envlock.platforms import PLATFORMS
from envlock.solve.conda import settled
from envlock.solve.debian import DebianRequest, solve_debian
from envlock.solve.link_scripts import check_link_scripts, with_effects
from envlock.solve.pypi.clobbers import settled as settled_wheels
from envlock.solve.python import PythonSolvers, solve_python, wants_conda
from envlock.spec.projection import project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.debian_archive import Archive
    from envlock.lock.base import BaseImage
    from envlock.lock.model import Artifact, DebianSection
    from envlock.progress import Reporter
    from envlock.solve.conda import CondaMeans
    from envlock.solve.debian import Transport
    from envlock.solve.pypi.contents import ContentsReader
    from envlock.solve.pypi.metadata import MetadataReader
    from envlock.solve.pypi.uv import Uv
    from envlock.solve.python import PythonSolution
    from envlock.spec.model import Spec, Target


_DEBIAN_PYTHON = re.compile(r"python(3\.\d+)-minimal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Solvers:
    """The machine's means: where indexes are read and how."""

    uv: Uv
    metadata: MetadataReader
    contents: ContentsReader
    archives: Sequence[Archive]
    transport: Transport
    snapshot: str | None = None
    conda: CondaMeans | None = None


def solve(
    spec: Spec,
    target: Target,
    solvers: Solvers,
    reporter: Reporter,
    *,
    previous: Lock | None = None,
    upgrade: bool = False,
    upgrade_packages: frozenset[str] = frozenset(),
    base: BaseImage | None = None,
) -> Lock:
    """Return the lock of ``spec`` for ``target``; base: the image that the spec builds upon.

    Versions of the ``previous`` lock are kept where they still fit, but for
    ``upgrade_packages``, and not at all with ``upgrade``.  Raises UnsatisfiableError,
    OverrideError, FetchError, UsageError.
    """
    if base is not None:
        _check_base(spec, target, base)
    _check_asked(spec)
    old = None if upgrade else previous
    python = solve_python(
        spec,
        target,
        PythonSolvers(uv=solvers.uv, metadata=solvers.metadata, conda=solvers.conda),
        reporter,
        kept=[one for one in (old.artifacts if old else ()) if one.name not in upgrade_packages],
    )
    debs, section = _debian(spec, target, solvers, reporter, old, upgrade_packages)
    if solvers.snapshot is None or spec.exclude_newer is None:
        _warn_of_older(previous.debian if previous else None, section, reporter)
    _check_python(spec, debs, base, bool(python.wheels) and not python.conda.has_python)
    _check_glibc(spec, target, debs)
    ours = _looked_into(spec, python, solvers, reporter)
    artifacts = sorted((*ours, *debs), key=lambda a: (a.kind, a.name, a.file))
    if base is None:
        _warn_of_missing(artifacts, reporter)
    return Lock(
        name=spec.name,
        platform=target.name,
        spec=project(spec, target.name),
        artifacts=tuple(artifacts),
        debian=section,
        base=base,
        overrides=python.overrides,
        excludes=python.excludes,
    )


def _check_asked(spec: Spec) -> None:
    if spec.debian is None and not spec.pypi.dependencies and not wants_conda(spec):
        raise SpecError(
            f"{spec.file} asks for nothing",
            hint="list packages in debian.packages, conda.dependencies and pypi.dependencies",
        )


def _looked_into(
    spec: Spec, python: PythonSolution, solvers: Solvers, reporter: Reporter
) -> tuple[Artifact, ...]:
    """Return wheels and conda packages with what their files decide.

    That is what the latter's link scripts do, and whose file stays where two have different ones.
    """
    artifacts = settled_wheels(spec, python.artifacts, python.urls, solvers.contents, reporter)
    if solvers.conda is None:
        return artifacts
    known = with_effects(artifacts, solvers.conda, reporter)
    check_link_scripts(spec, known, reporter)
    return settled(spec, known, solvers.conda, reporter)


def _debian(
    spec: Spec,
    target: Target,
    solvers: Solvers,
    reporter: Reporter,
    old: Lock | None,
    upgrade_packages: frozenset[str],
) -> tuple[tuple[Artifact, ...], DebianSection | None]:
    """Return the OS layer: as the old lock has it where nothing asks for another one."""
    if spec.debian is None:
        return (), None
    if old is not None and old.debian is not None:
        debs = old.of_kind("debian")
        same = old.spec.get("debian") == project(spec, target.name)["debian"]
        if same and not upgrade_packages & {deb.name for deb in debs}:
            return debs, old.debian
    request = DebianRequest(
        suite=spec.debian.suite,
        packages=spec.debian.packages,
        exclude=spec.debian.exclude,
        alternatives=spec.debian.alternatives,
    )
    try:
        solution = solve_debian(
            request,
            PLATFORMS[target.name],
            solvers.archives,
            solvers.transport,
            reporter,
            exclude_newer=spec.exclude_newer,
            snapshot=solvers.snapshot,
        )
    except (UnsatisfiableError, UsageError) as error:
        error.where = error.where or str(spec.debian.location)
        raise
    return solution.artifacts, solution.section


def _check_base(spec: Spec, target: Target, base: BaseImage) -> None:
    """Refuse a base image that is older than what the platform promises."""
    assert spec.image.base is not None
    promised = (
        ("glibc", target.glibc, base.glibc, f'write glibc: "{base.glibc}", or name a newer base'),
        ("cuda", target.cuda, base.cuda, "name a base image with that CUDA, or with none"),
    )
    for name, wanted, has, hint in promised:
        if wanted and has and _numbers(wanted) > _numbers(has):
            raise UnsatisfiableError(
                f"platforms.{target.name} promises {name} {wanted}, and the base image has {has}",
                where=str(spec.image.base.location),
                details=(f"  {base.reference}: {base.os}",),
                hint=hint,
            )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _warn_of_older(
    before: DebianSection | None, now: DebianSection | None, reporter: Reporter
) -> None:
    """Say that an archive shows an older state than the lock saw: it is well signed, too."""
    seen = {(one.archive, one.suite): one.date for one in (before.indexes if before else ())}
    for index in now.indexes if now else ():
        known = seen.get((index.archive, index.suite), "")
        if index.date < known:
            reporter.warn(
                f"{index.archive} {index.suite} is of {index.date}, and the lock was made with "
                f"that of {known}: the mirror lags, or somebody shows an old state of it"
            )


def _check_python(
    spec: Spec, debs: Sequence[Artifact], base: BaseImage | None, needed: bool
) -> None:
    """Refuse an image whose wheels would have no interpreter."""
    if needed and base is not None:
        _check_base_python(spec, base)
        return
    wanted = f"python{spec.python}-minimal"
    if not needed or any(deb.name == wanted for deb in debs):
        return
    there = [found[1] for deb in debs if (found := _DEBIAN_PYTHON.fullmatch(deb.name))]
    add = f"add {wanted} and libpython{spec.python}-stdlib to debian.packages, or choose the "
    raise UnsatisfiableError(
        f"nothing in the image is Python {spec.python}, which the PyPI packages are for",
        where=str(spec.debian.location) if spec.debian else spec.file,
        details=(f"  Debian's packages bring Python {' and '.join(there)}",) if there else (),
        hint=f'write python: "{there[0]}"; or choose a suite that has {spec.python}, or take it '
        "from conda (python in conda.dependencies) or a base image (image.base)"
        if there
        else f"{add}Python that the suite has",
    )


def _check_base_python(spec: Spec, base: BaseImage) -> None:
    assert spec.image.base is not None
    if base.python is None:
        raise UnsatisfiableError(
            f"the base image has no python{spec.python} on its PATH, and the PyPI packages are "
            f"for Python {spec.python}",
            where=str(spec.image.base.location),
            details=(f"  {base.reference}: {base.os}",),
            hint=f"name a base image that has it, docker.io/python:{spec.python}-slim for "
            "instance; take Python from conda (python in conda.dependencies); or say the "
            "base's version in python:",
        )


def _check_glibc(spec: Spec, target: Target, debs: Sequence[Artifact]) -> None:
    """Refuse a platform that promises wheels a newer glibc than the image has."""
    libc = next((deb.version for deb in debs if deb.name == "libc6"), None)
    match = re.match(r"(?:\d+:)?(\d+)\.(\d+)", libc or "")
    if match is None or spec.debian is None:
        return
    has = (int(match[1]), int(match[2]))
    if tuple(int(part) for part in target.glibc.split(".")) > has:
        raise UnsatisfiableError(
            f"platforms.{target.name} promises glibc {target.glibc}, and {spec.debian.suite} "
            f"has {has[0]}.{has[1]}: wheels could be chosen that do not load",
            where=str(spec.debian.location),
            hint=f'write glibc: "{has[0]}.{has[1]}"',
        )


def _warn_of_missing(artifacts: Sequence[Artifact], reporter: Reporter) -> None:
    """Name what wheels take for granted and the OS layer lacks.

    A manylinux wheel may link to a list of libraries of the system (PEP 600); of those a
    minimal Debian lacks only the C++ one.
    """
    names = {artifact.name for artifact in artifacts}
    compiled = [a.name for a in artifacts if a.kind == "pypi" and "-any.whl" not in a.file]
    if compiled and not names & {"libstdc++6", "libstdcxx", "libstdcxx-ng"}:
        reporter.warn(
            f"compiled code (in {', '.join(compiled[:3])}{', …' if len(compiled) > 3 else ''}) "
            "often needs the C++ library: add libstdc++6 to debian.packages"
        )
    if "triton" in names and not names & {"gcc", "clang", "tcc"}:
        reporter.warn(
            "triton compiles C at run time, and no compiler is in debian.packages: "
            "add gcc, libc6-dev and the Python headers, or kernels will not launch"
        )
