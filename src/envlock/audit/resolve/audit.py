"""The order of an audit: roots, modules, functions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.audit.resolve.escapes import Escapes
from envlock.audit.resolve.notes import Notes
from envlock.audit.resolve.quick import Quick
from envlock.audit.resolve.run import Run
from envlock.audit.resolve.tops import roots
from envlock.audit.resolve.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.model import Target
    from envlock.audit.resolve.ahead import Ahead
    from envlock.audit.resolve.keeping import Kept
    from envlock.audit.resolve.state import Failure, Module
    from envlock.audit.resolve.traces import Tracer


@dataclass(slots=True)
class Trace:
    """What a run found: failures by the root or module that they leave.

    called, surely: the bits of those that leave some function, and of those that surely do.
    """

    run: Run
    roots: dict[str, Escapes] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    alone: dict[str, Escapes] = field(default_factory=dict)
    called: int = 0
    surely: int = 0

    def release(self) -> None:
        """Let go of the run's objects, most of which refer to each other.

        The collector would take as long to find a million of them as a third of the run.
        """
        self.run.release()
        for found in (self.roots, self.alone):
            found.clear()


def trace(
    indexes: Sequence[WheelIndex],
    target: Target,
    cache: Path | None = None,
    kept: Kept | None = None,
    ahead: Ahead | None = None,
) -> Trace:
    """Run everything.

    cache: a folder for what the standard library has; kept: parts of earlier runs, and ahead:
    those of another process, which change how long it takes and nothing else.
    """
    world = World(indexes, target, cache)
    found = imports(world, kept)
    left = Counter(world.key(index) for index in world.owner.values())
    for name in world.names:
        if ahead is not None:
            ahead.reach(name)
        calls = _functions(found.run, name)
        found.called |= calls.all
        found.surely |= calls.certain
        owner = world.key(world.owner[name])
        left[owner] -= 1
        if kept is not None and not left[owner]:
            kept.finish(owner)
    world.stdlib.stubs.keep()
    if kept is not None:
        kept.keep()
    return found


def imports(world: World, kept: Kept | None) -> Trace:
    """Run the roots of all distributions, and then all other modules."""
    run = Run(world, kept)
    found = Trace(run)
    for index in world.indexes:
        for top in roots(index):
            module = run.imports.load(top)
            if module is not None:
                found.roots[top] = module.escapes
    found.reached = {name for name, module in run.modules.items() if module.status == "done"}
    for name in world.names:
        module = run.imports.load(name)
        if module is not None and module.escapes:
            found.alone[name] = module.escapes
    return found


def _functions(run: Run, name: str) -> Escapes:
    """Run the functions of a module, or take over what they gave in an earlier run."""
    module, tracer = run.modules.get(name), run.tracer
    if module is None or tracer is None or run.replay is None:
        return _called(run, module) if module is not None else Escapes(run.numbers)
    known = run.replay.functions(module)
    return known if known is not None else noted(run, tracer, module)


def noted(run: Run, tracer: Tracer, module: Module) -> Escapes:
    """Run the functions of a module and keep what they ask and give."""
    notes = Notes(0, home=module)
    run.noting(notes)
    run.looks.look(module)
    found = _called(run, module)
    run.noting(None)
    notes.active = False
    tracer.keep_functions(module, notes, found)
    return found


def _called(run: Run, module: Module) -> Escapes:
    """Run the functions of a module and return what leaves any of them."""
    found, quick = Escapes(run.numbers), Quick(run, module)
    with run.evaluator.apart():
        functions = module.entry.get("functions")
        for function, asked in functions.asked() if functions is not None else ():
            scope = function.rpartition(".")[0]
            if function not in module.live and scope not in module.live:
                continue
            if not quick.fine(function, asked):
                found.extend(run.run_function(module, function))
    return found


def failures(found: Trace) -> list[Failure]:
    """Return every failure that was met, handled or not."""
    return list(found.run.failures.values())
