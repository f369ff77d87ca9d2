"""The order of an audit: roots, modules, functions."""

from __future__ import annotations

import itertools
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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.model import Target
    from envlock.audit.resolve.ahead import Ahead
    from envlock.audit.resolve.keeping import Kept
    from envlock.audit.resolve.state import Failure, Module
    from envlock.audit.resolve.traces import Tracer

_GROUP = 16
"""How many modules beside each other are kept as one as far as their functions go."""


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

    cache: a folder for what the standard library has; kept: parts of earlier runs, which the
    caller lets keep what is new, and ahead: those of another process.  Both change how long it
    takes and nothing else.
    """
    world = World(indexes, target, cache)
    found = imports(world, kept)
    left = Counter(world.key(index) for index in world.owner.values())
    for number, group in enumerate(groups(world.names, world.owner)):
        if ahead is not None:
            ahead.reach(number)
        calls = _functions(found.run, group)
        found.called |= calls.all
        found.surely |= calls.certain
        owner = world.key(world.owner[group[0]])
        left[owner] -= len(group)
        if kept is not None and not left[owner]:
            kept.finish(owner)
    world.stdlib.stubs.keep()
    return found


def groups(names: Sequence[str], owner: Mapping[str, WheelIndex]) -> list[tuple[str, ...]]:
    """Return modules in their order, by groups whose functions are kept together.

    owner: whose each module is.  A group is of one distribution.  Modules beside each other ask
    for much the same; so what a group asks is little more than what one of them does.
    """
    found: list[tuple[str, ...]] = []
    for _, same in itertools.groupby(names, key=lambda name: id(owner[name])):
        own = tuple(same)
        found += (own[start : start + _GROUP] for start in range(0, len(own), _GROUP))
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


def _functions(run: Run, group: Sequence[str]) -> Escapes:
    """Run the functions of a group, or take over what they gave in an earlier run."""
    modules, tracer = _met(run, group), run.tracer
    if tracer is None or run.replay is None or not modules:
        return _all_called(run, modules)
    known = run.replay.functions(modules)
    return known if known is not None else noted(run, tracer, modules)


def run_noted(run: Run, tracer: Tracer, group: Sequence[str]) -> None:
    """Run the functions of a group for what is kept of them."""
    modules = _met(run, group)
    if modules:
        noted(run, tracer, modules)


def _met(run: Run, group: Sequence[str]) -> list[Module]:
    found = (run.modules.get(name) for name in group)
    return [module for module in found if module is not None]


def noted(run: Run, tracer: Tracer, modules: Sequence[Module]) -> Escapes:
    """Run the functions of modules and keep what they ask and give."""
    notes = Notes(0, home=frozenset(modules))
    run.noting(notes)
    for module in modules:
        run.looks.look(module)
    found = _all_called(run, modules)
    run.noting(None)
    notes.active = False
    tracer.keep_functions(modules, notes, found)
    return found


def _all_called(run: Run, modules: Sequence[Module]) -> Escapes:
    """Run the functions of modules and return what leaves any of them."""
    found = Escapes(run.numbers)
    for module in modules:
        found.extend(_called(run, module))
    return found


def _called(run: Run, module: Module) -> Escapes:
    """Run the functions of a module and return what leaves any of them."""
    found, quick = Escapes(run.numbers), Quick(run, module)
    with run.evaluator.apart():
        asked = module.entry.get("asked")
        if asked is not None and quick.fine("", asked):
            return found
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
