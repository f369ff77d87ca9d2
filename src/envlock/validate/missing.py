"""Which shared libraries an unpacked image needs and has nowhere, all at once.

The loader names one library and ends; whoever adds that one meets the next.  Here every shared
object of the image is asked what it needs (DT_NEEDED).  A name that any file of the image has
counts as there: where libraries look for each other at run time is their own affair.
Standard library only.
"""

from __future__ import annotations

import csv
import mmap
import os
import posixpath
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.layers.elf import read_needed
from envlock.validate.results import Result
from envlock.validate.shared import is_systems, names_absent, package_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SHARED = re.compile(r".+\.so(?:\.[\w.]+)?")
_SITE = re.compile(r"(.*/(?:site|dist)-packages)/(.+)")
_MOST = 20
"""Libraries, and packages of each, that are told."""


def tell_missing(root: Path, results: Iterable[Result]) -> list[Result]:
    """Return what there is to add to a proof in which the loader did not find a library.

    root: the image's file system.  Nothing is looked at where no check failed for that.
    """
    failed = [line for one in results if one.status == "failed" for line in one.detail]
    if not names_absent(failed):
        return []
    missing = missing_libraries(root)
    if not missing:
        return []
    lines = [_line(name, missing[name]) for name in sorted(missing)]
    more = [f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    several = len(lines) != 1
    subject = (
        f"{len(lines)} shared {'libraries are' if several else 'library is'} needed and nowhere in "
        "the image; in brackets the Debian package that most likely has it"
    )
    packages = sorted({package for name in missing if (package := package_of(name))})
    add = [f"for debian.packages: {', '.join(packages)}"] if packages else []
    detail = (*lines[:_MOST], *more, *add)
    return [Result(kind="libraries", subject=subject, status="noted", detail=detail)]


def _line(name: str, owners: frozenset[str]) -> str:
    called = package_of(name)
    shown = sorted(owners)
    rest = f" and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
    return f"{name}{f' ({called})' if called else ''}: {', '.join(shown[:_MOST])}{rest}"


def missing_libraries(root: Path) -> Mapping[str, frozenset[str]]:
    """Return who needs each library that is nowhere below ``root``, by the library's name.

    Who: the distribution by its RECORD, else the file.  What comes with a GPU's driver is left
    out.  Links are not followed; what cannot be read is passed over.
    """
    there: set[str] = set()
    needs: dict[str, set[str]] = {}
    for path, is_regular in _shared_objects(root):
        there.add(posixpath.basename(path))
        for name in _needed(root / path) if is_regular else ():
            needs.setdefault(name, set()).add(path)
    owners = _Owners(root)
    return {
        name: frozenset(map(owners.of, paths))
        for name, paths in needs.items()
        if name not in there and is_systems(name)
    }


def _shared_objects(root: Path) -> Iterator[tuple[str, bool]]:
    """Yield the path below the root of what is named like a library; is it a regular file?"""
    for folder, _, files in os.walk(root):
        for name in files:
            if _SHARED.fullmatch(name):
                path = Path(folder, name)
                yield str(path.relative_to(root)), stat.S_ISREG(path.lstat().st_mode)


def _needed(path: Path) -> tuple[str, ...]:
    with (
        suppress(OSError, ValueError),  # it may not be read, or is empty
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        return read_needed(data)
    return ()


@dataclass(frozen=True, slots=True)
class _Owners:
    """Which distribution a file is from, by the RECORDs of its folder."""

    root: Path
    known: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, path: str) -> str:
        found = _SITE.fullmatch(path)
        if found is None:
            return f"/{path}"
        folder, inside = found.groups()
        if folder not in self.known:
            self.known[folder] = dict(_recorded(self.root / folder))
        return self.known[folder].get(inside, f"/{path}")


def _recorded(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each library that a distribution of a folder records, and "name version"."""
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        name, _, version = record.parent.name.removesuffix(".dist-info").partition("-")
        name = name.replace("_", "-")  # as in a wheel's file name, which has no hyphen in it
        with (
            suppress(OSError, UnicodeDecodeError, csv.Error),
            record.open(encoding="utf-8", newline="") as lines,
        ):
            for row in csv.reader(lines):
                if row and _SHARED.fullmatch(row[0]):
                    yield row[0], f"{name} {version}"
