"""Paths at which the chosen conda packages would put different files, settled by the spec.

conda and rattler warn of such paths and let one file overwrite the other.  Here they are found
in the packages' own lists of files before anything is locked.  A list has no bytes: where a
file holds its prefix, or is a link, two files may differ or not, and the build decides.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, SpecError, UnsatisfiableError
from envlock.layers.clobbers import Clash, described, matcher, remedy, told
from envlock.layers.condapaths import entry_point, installed_path
from envlock.layers.scheme import usual_site
from envlock.lock.values import PATH
from envlock.solve.conda.archive import DIRECTORY, Info, differ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.solve.conda.solve import CondaMeans
    from envlock.spec.model import Clobber, Conda, Spec

    Owners = list[tuple[str, str]]
    """The packages that have a path, and the mark of each one's file."""


def settled(
    spec: Spec, artifacts: Sequence[Artifact], means: CondaMeans, reporter: Reporter
) -> tuple[Artifact, ...]:
    """Return the artifacts, conda packages with those paths that give way to another's.

    Raises UnsatisfiableError for paths that ``conda.clobbers`` says nothing of, SpecError for
    an entry that nothing needs, FetchError, ArtifactError.
    """
    packages = [one for one in artifacts if one.conda is not None]
    if spec.conda is None or not packages:
        return tuple(artifacts)
    site = _site(spec, packages)
    infos = means.reader().files(packages, reporter)
    files = [
        (one.name, _installed(one, info, site)) for one, info in zip(packages, infos, strict=True)
    ]
    lost, clashes, used = _weighed(spec.conda, dict(_shared(files)))
    _check_entries(spec, {one.name for one in packages}, used, reporter)
    if clashes:
        raise UnsatisfiableError(
            told(clashes),
            where=str(spec.conda.location),
            details=described(clashes),
            hint=remedy(clashes),
        )
    return tuple(_clobbered(one, tuple(sorted(lost.get(one.name, ())))) for one in artifacts)


def _clobbered(artifact: Artifact, paths: tuple[tuple[str, str], ...]) -> Artifact:
    if artifact.conda is None or artifact.conda.clobbered == paths:
        return artifact
    return dataclasses.replace(artifact, conda=dataclasses.replace(artifact.conda, clobbered=paths))


def _site(spec: Spec, packages: Sequence[Artifact]) -> str:
    """Return where site-packages are, below the prefix (CEP 17)."""
    python = next((one.conda for one in packages if one.name == "python"), None)
    return (python.python_site_packages_path if python else None) or usual_site(spec.python)


def _installed(artifact: Artifact, info: Info, site: str) -> dict[str, str]:
    """Return a package's files by where they go, with their marks."""
    assert artifact.conda is not None
    noarch = artifact.conda.noarch == "python"
    found = {
        installed_path(path, noarch=noarch, site=site) if noarch else path: mark
        for path, mark in info.marks.items()
        if mark != DIRECTORY
    }
    for point in info.points:
        try:
            match = entry_point(point)
        except ArtifactError:
            continue  # the build will name the package
        found[f"bin/{match['name']}"] = f"script:{match['module']}:{match['object']}"
    return found


def _shared(files: Sequence[tuple[str, Mapping[str, str]]]) -> Iterator[tuple[str, Owners]]:
    """Yield the paths that several packages have, with their owners in order of names."""
    first: dict[str, int] = {}
    shared: dict[str, list[int]] = {}
    for number, (_, marks) in enumerate(files):
        for path in marks.keys() & first.keys():
            shared.setdefault(path, [first[path]]).append(number)
        first |= dict.fromkeys(marks.keys() - first.keys(), number)
    for path in sorted(shared):
        if PATH.fullmatch(path):
            yield path, [(files[number][0], files[number][1][path]) for number in shared[path]]


def _weighed(
    conda: Conda, shared: Mapping[str, Owners]
) -> tuple[dict[str, list[tuple[str, str]]], list[Clash], set[Clobber]]:
    """Return (path, keeper) by the package that gives way, open clashes, and entries in use."""
    entries = [(one, matcher(one.path)) for one in conda.clobbers]
    lost: dict[str, list[tuple[str, str]]] = {}
    clashes: list[Clash] = []
    used: set[Clobber] = set()
    for path, owners in shared.items():
        marks = [mark for _, mark in owners]
        verdicts = {differ(marks[0], mark) for mark in marks[1:]}
        if verdicts == {False}:
            continue
        known = dict(owners)
        entry = next((e for e, match in entries if e.keep in known and match.fullmatch(path)), None)
        if entry is not None:
            used.add(entry)
            for name, mark in owners:
                if name != entry.keep and differ(mark, known[entry.keep]) is not False:
                    lost.setdefault(name, []).append((path, entry.keep))
        elif True in verdicts:
            clashes.append(Clash(path=path, packages=tuple(known)))
    return lost, clashes, used


def _check_entries(spec: Spec, names: set[str], used: set[Clobber], reporter: Reporter) -> None:
    """Refuse an entry that nothing needs; of several platforms another one may need it."""
    for entry in spec.conda.clobbers if spec.conda else ():
        if entry in used:
            continue
        what = f"conda.clobbers: {entry.path} settles nothing: "
        what += (
            f"no other package has a different file there than {entry.keep}"
            if entry.keep in names
            else f"{entry.keep} is not among the packages"
        )
        if len(spec.targets) == 1:
            raise SpecError(what, location=entry.location, hint="remove it, or correct its path")
        reporter.warn(f"{entry.location}: {what}")
