"""Functions that another process runs ahead, from the last module on.

A run that keeps what it finds out takes about as long for functions as for modules.  So another
process runs the modules as well, faster since it keeps nothing of them, and then functions, from
the last module on, while this one begins with the first.  What it found out comes as parts, as
if an earlier run had kept them: those whose answers are the same here are taken over, all others
are run.  So whether anybody runs ahead changes how long it takes, and nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import pickle
from typing import TYPE_CHECKING

from envlock.audit.resolve.audit import groups, imports, run_noted
from envlock.audit.resolve.deep import deep
from envlock.audit.resolve.keeping import Kept
from envlock.audit.resolve.traces import Tracer
from envlock.audit.resolve.world import World
from envlock.workers import worker_pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.model import Target
    from envlock.audit.resolve.keeping import Shelf
    from envlock.audit.resolve.run import Run

_WORTH = 3000
"""Modules of distributions that no run has met yet, from which on another process is worth it."""
_AT_ONCE = 6
"""Groups of modules whose functions come together."""


class Ahead:
    """The answers of the process that runs ahead, by the first of the groups that they are of."""

    def __init__(self, pool: Executor, count: int, kept: Kept) -> None:
        self._kept = kept
        self._parts: dict[int, Future[dict[str, Shelf]]] = {
            start: pool.submit(_functions, start, min(start + _AT_ONCE, count))
            for start in reversed(range(0, count, _AT_ONCE))
        }

    def reach(self, number: int) -> None:
        """Put what is known of the functions of a group, and of those behind it, on the shelves.

        Where it is not known yet the caller is as fast.
        """
        part = self._parts.pop(number, None)
        if part is None or part.cancel() or not part.done() or part.exception() is not None:
            return
        for owner, shelf in part.result().items():
            self._kept.shelf(owner).join(shelf)


@contextlib.contextmanager
def running_ahead(
    indexes: Sequence[WheelIndex], target: Target, cache: Path | None, kept: Kept | None, jobs: int
) -> Iterator[Ahead | None]:
    """Let another process run functions meanwhile, if there may be one and it is worth it."""
    if kept is None or jobs < 2 or _unmet(indexes, kept) < _WORTH:
        yield None
        return
    owner = {name: index for index in reversed(indexes) for name in index.modules}
    count = len(groups(sorted(owner), owner))
    packed = pickle.dumps((indexes, target, cache), pickle.HIGHEST_PROTOCOL)
    with contextlib.suppress(_OverError), worker_pool(1) as pool:
        pool.submit(_begin, packed)
        del packed
        yield Ahead(pool, count, kept)
        raise _OverError  # what it still does nobody waits for


class _OverError(Exception):
    """Everything was run."""


def _unmet(indexes: Sequence[WheelIndex], kept: Kept) -> int:
    return sum(len(index.modules) for index in indexes if not kept.has(index))


_runs: list[tuple[Run, Tracer, Kept, list[tuple[str, ...]]]] = []
"""The run of this process, if it is the one that runs ahead."""


def _begin(packed: bytes) -> None:
    """Run all modules, as the process that runs ahead."""
    gc.disable()  # most objects stay until the process ends
    indexes, target, cache = pickle.loads(packed)  # noqa: S301  # the parent's own
    run = deep(lambda: imports(World(indexes, target, cache), None)).run
    kept = Kept(None, "")
    run.tracer = Tracer(run, kept)
    _runs[:] = [(run, run.tracer, kept, groups(run.world.names, run.world.owner))]


def _functions(start: int, end: int) -> dict[str, Shelf]:
    """Run the functions of some groups and return what was noted, by distribution."""
    run, tracer, kept, found = _runs[0]

    def work() -> None:
        for group in found[start:end]:
            run_noted(run, tracer, group)

    deep(work)
    return kept.taken()
