"""Many packages at once, in worker processes; the work is split by bytes, not by wheel."""

from __future__ import annotations

import gc
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from envlock.audit.index.cache import encode
from envlock.audit.index.conda import assemble_package, is_conda
from envlock.audit.index.module import SkippedError
from envlock.audit.index.wheel import (
    LocalArchive,
    assemble,
    distribution_of,
    index_members,
    members_of,
    reuse_members,
)
from envlock.workers import worker_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from envlock.audit.index.entries import Record
    from envlock.audit.index.layout import Member
    from envlock.progress import Task

_PORTION = 2 * 1024 * 1024
_WORTH_A_POOL = 3 * 1024 * 1024

Part = tuple[list["Record"], list[str]]
"""Packed modules, and notes on those that were left out."""

Known: TypeAlias = "Mapping[tuple[str, str, str], Record]"
"""Packed modules by name, kind and the digest of their source."""


@dataclass(slots=True)
class _Job:
    """One wheel under way."""

    key: str
    path: Path
    archive: LocalArchive
    portions: list[list[Member]]
    sizes: list[int]
    records: list[Record]
    notes: list[str]
    left: int


def index_all(
    paths: Mapping[str, Path],
    done: Callable[[str, bytes], None],
    *,
    known: Callable[[str], Known] | None = None,
    names: Mapping[str, tuple[str, str]] | None = None,
    jobs: int = 2,
    task: Task | None = None,
) -> list[str]:
    """Index wheels by key, hand each encoded result to ``done``, return notes on broken ones.

    Conda packages come as :func:`envlock.audit.index.conda.readable` gives them.
    known: returns what an earlier wheel of a distribution had; the same sources are not read
    twice.
    """
    works, notes = [], []
    for key, path in paths.items():
        try:
            works.append(_prepare(key, path, known))
        except (SkippedError, OSError) as error:
            notes.append(f"{path.name}: {error}")
    fallback = names or {}

    def finish(work: _Job) -> None:
        named = fallback.get(work.key, _named(work))
        kinds = {record.module: str(record.head["kind"]) for record in work.records}
        if is_conda(work.path.name):
            index = assemble_package(work.archive, kinds, sorted(work.notes))
        else:
            index = assemble(work.archive, kinds, sorted(work.notes), fallback=named)
        work.archive.close()
        done(work.key, encode(index, work.records))
        work.records = []

    if jobs > 1 and sum(sum(work.sizes) for work in works) > _WORTH_A_POOL:
        _in_processes(works, finish, jobs, task)
    else:
        _here(works, finish, task)
    return notes


def _prepare(key: str, path: Path, known: Callable[[str], Known] | None) -> _Job:
    archive = LocalArchive(path)
    members = list(members_of(archive).values())
    records: list[Record] = []
    before = known(distribution_of(archive)) if known is not None else {}
    if before:
        records, members = reuse_members(archive, members, before)
    portions, sizes = _portions(archive, members)
    return _Job(key, path, archive, portions, sizes, records, [], len(portions))


def _portions(archive: LocalArchive, members: list[Member]) -> tuple[list[list[Member]], list[int]]:
    portions: list[list[Member]] = []
    sizes: list[int] = []
    for member in members:
        size = archive.size(member.file) if member.read else 0
        if not portions or sizes[-1] + size > _PORTION:
            portions.append([])
            sizes.append(0)
        portions[-1].append(member)
        sizes[-1] += size
    return portions, sizes


def _here(works: Sequence[_Job], finish: Callable[[_Job], None], task: Task | None) -> None:
    for work in works:
        for portion, size in zip(work.portions, work.sizes, strict=True):
            _add(work, index_members(work.archive, portion))
            if task is not None:
                task.advance(size)
        finish(work)


def _in_processes(
    works: Sequence[_Job], finish: Callable[[_Job], None], jobs: int, task: Task | None
) -> None:
    with worker_pool(jobs) as pool:
        queue = [
            (size, work, portion)
            for work in works
            for portion, size in zip(work.portions, work.sizes, strict=True)
        ]
        queue.sort(key=lambda item: -item[0])
        futures = {
            pool.submit(_portion, str(work.path), portion): (work, size)
            for size, work, portion in queue
        }
        for work in works:
            if not work.portions:
                finish(work)
        for future in as_completed(futures):
            work, size = futures.pop(future)
            _add(work, future.result())
            if task is not None:
                task.advance(size)
            if work.left == 0:
                finish(work)


def _add(work: _Job, part: Part) -> None:
    work.records.extend(part[0])
    work.notes.extend(part[1])
    work.left -= 1


def _portion(path: str, members: list[Member]) -> Part:
    gc.disable()  # trees have no cycles, and workers do not live long
    archive = LocalArchive(Path(path))
    try:
        return index_members(archive, members)
    finally:
        archive.close()


def _named(work: _Job) -> tuple[str, str]:
    name, _, rest = work.path.name.partition("-")
    return name, rest.partition("-")[0]
