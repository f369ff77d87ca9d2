"""Paths at which packages of one kind would put different files, settled by the spec.

What is compared, and how two files are told apart, is up to each kind: conda packages have lists
of files, wheels their archives' directories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import SpecError
from envlock.layers.clobbers import Clash, matcher
from envlock.layers.scheme import usual_site
from envlock.lock.values import PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.spec.model import Clobber, Spec

    Owners = list[tuple[str, str]]
    """The packages that have a path, and the mark of each one's file."""

    Differ = Callable[[str, str], bool | None]
    """Tells whether files with two marks differ; None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What became of shared paths.

    lost: (path, keeper) by the package that gives way; clashes: what no entry settles; used:
    the entries that settled something.
    """

    lost: Mapping[str, Sequence[tuple[str, str]]]
    clashes: Sequence[Clash]
    used: frozenset[Clobber]

    def of(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return what gives way of a package, by path."""
        return tuple(sorted(self.lost.get(name, ())))


def weigh(
    entries: Sequence[Clobber], files: Sequence[tuple[str, Mapping[str, str]]], differ: Differ
) -> Weighed:
    """Hold the files of packages, marks by path below the prefix, against each other."""
    matching = [(one, matcher(one.path)) for one in entries]
    lost: dict[str, list[tuple[str, str]]] = {}
    clashes: list[Clash] = []
    used: set[Clobber] = set()
    for path, owners in _shared(files):
        marks = [mark for _, mark in owners]
        verdicts = {differ(marks[0], mark) for mark in marks[1:]}
        if verdicts == {False}:
            continue
        known = dict(owners)
        entry = next(
            (e for e, match in matching if e.keep in known and match.fullmatch(path)), None
        )
        if entry is not None:
            used.add(entry)
            for name, mark in owners:
                if name != entry.keep and differ(mark, known[entry.keep]) is not False:
                    lost.setdefault(name, []).append((path, entry.keep))
        elif True in verdicts:
            clashes.append(Clash(path=path, packages=tuple(known)))
    return Weighed(lost=lost, clashes=clashes, used=frozenset(used))


def _shared(files: Sequence[tuple[str, Mapping[str, str]]]) -> Iterator[tuple[str, Owners]]:
    """Yield the paths that several packages have, with their owners in order of names."""
    first: dict[str, int] = {}
    shared: dict[str, list[int]] = {}
    for number, (_, marks) in enumerate(files):
        for path in marks.keys() & first.keys():
            shared.setdefault(path, [first[path]]).append(number)
        first |= dict.fromkeys(marks.keys() - first.keys(), number)
    for path in sorted(shared):
        if PATH.fullmatch(path) and not {".", ".."} & {*path.split("/")}:  # or it will be refused
            yield path, [(files[number][0], files[number][1][path]) for number in shared[path]]


def check_entries(
    spec: Spec,
    section: str,
    entries: Sequence[Clobber],
    names: set[str],
    used: frozenset[Clobber],
    reporter: Reporter,
) -> None:
    """Refuse an entry that nothing needs; of several platforms another one may need it.

    section: the entries' place in the spec; names: of the packages that are compared.  Raises
    SpecError.
    """
    things = "wheel" if section.startswith("pypi") else "package"
    for entry in entries:
        if entry in used:
            continue
        what = f"{section}: {entry.path} settles nothing: "
        what += (
            f"no other {things} has a different file there than {entry.keep}"
            if entry.keep in names
            else f"{entry.keep} is not among the {things}s"
        )
        if len(spec.targets) == 1:
            raise SpecError(what, location=entry.location, hint="remove it, or correct its path")
        reporter.warn(f"{entry.location}: {what}")


def site_of(spec: Spec, artifacts: Sequence[Artifact]) -> str:
    """Return where site-packages are, below the prefix (CEP 17)."""
    python = next((one.conda for one in artifacts if one.name == "python"), None)
    return (python.python_site_packages_path if python else None) or usual_site(spec.python)
