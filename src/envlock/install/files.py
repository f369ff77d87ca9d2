"""What artifacts install, written to disk: the functions that worker processes run."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.files import disk_errors
from envlock.layers.blobs import verified
from envlock.layers.clashes import conda_marks
from envlock.layers.coded import Coded
from envlock.layers.conda import conda_entries
from envlock.layers.condaarchive import open_conda
from envlock.layers.condafacts import CondaFacts, FactCollector
from envlock.layers.pack import fingerprint, installed_entries
from envlock.layers.zipcontent import ZipMember

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from envlock.layers.entry import Content, Entry
    from envlock.layers.scheme import Scheme
    from envlock.lock.model import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What one artifact put into the environment: marks of files by path, facts of conda.

    links: symbolic links that are still to be written.
    """

    name: str
    marks: tuple[tuple[str, tuple[int, int]], ...]
    facts: CondaFacts | None = None
    links: tuple[Entry, ...] = ()


def install_wheel(wheel: Artifact, path: Path, scheme: Scheme, root: Path) -> Installed:
    """Write a wheel's files into ``root``, the folder that will be ``scheme.prefix``.

    A file that is there already is left alone: the caller compares the marks of all artifacts,
    and writes the links then.  As long as there are none, no file can be written through one,
    whatever the artifacts hold and in whichever order they are written.
    Raises IntegrityError, ArtifactError, DiskError.
    """
    with verified(path, wheel) as archive:
        entries = installed_entries(path, archive, scheme, wheel)
        marks = tuple((entry.path, fingerprint(entry)) for entry in entries)
        links = _write_files(entries, scheme, root)
    return Installed(name=wheel.name, marks=marks, links=links)


def install_conda(
    package: Artifact, path: Path, scheme: Scheme, root: Path, without: str | None
) -> Installed:
    """Write a conda package's files into ``root``, as :func:`install_wheel` does."""
    collector = FactCollector(package.name, scheme.prefix)
    with (
        verified(path, package) as file,
        open_conda(file, package.file, root.parent) as archive,
    ):
        entries = conda_entries(archive, package, scheme, without=without)
        links = _write_files(collector.watch(entries), scheme, root)
    facts = collector.facts()
    marks = tuple(conda_marks(facts))
    return Installed(name=package.name, marks=marks, facts=facts, links=links)


def write_entry(entry: Entry, scheme: Scheme, root: Path) -> None:
    """Write one entry; what is there already stays, whoever wrote it: marks tell of clashes."""
    place = _inside(root, entry.path, scheme)
    with disk_errors(place), contextlib.suppress(FileExistsError, NotADirectoryError):
        place.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "dir":
            place.mkdir()
        elif entry.kind == "symlink":
            place.symlink_to(entry.target)
        elif entry.kind == "hardlink":
            os.link(_inside(root, entry.target, scheme), place)
        else:
            assert entry.content is not None
            with place.open("xb") as out:
                out.writelines(_pieces(entry.content))
            place.chmod(entry.mode)


def _write_files(entries: Iterable[Entry], scheme: Scheme, root: Path) -> tuple[Entry, ...]:
    """Write all entries but symbolic links, which are returned."""
    links = []
    for entry in entries:
        if entry.kind == "symlink":
            links.append(entry)
        else:
            write_entry(entry, scheme, root)
    return tuple(links)


def _inside(root: Path, path: str, scheme: Scheme) -> Path:
    below = path.removeprefix(f"{scheme.prefix}/")
    if below == path:
        raise ArtifactError(f"the path /{path} is not below /{scheme.prefix}")
    return root / below


def _pieces(content: Content) -> Iterable[bytes]:
    if isinstance(content, ZipMember):
        return content.plain_pieces()
    if isinstance(content, Coded):
        return content.inner.pieces()
    return (content.read(),)
