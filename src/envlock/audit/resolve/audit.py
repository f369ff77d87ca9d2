"""The order of an audit: roots, modules, functions; again while cycles hide something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.audit.resolve.run import Run
from envlock.audit.resolve.state import Frame
from envlock.audit.resolve.tops import roots
from envlock.audit.resolve.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.model import Target
    from envlock.audit.resolve.state import Escape, Failure, Module

_ROUNDS = 3

Key = tuple[str, str, str, str]


@dataclass(slots=True)
class Trace:
    """What a run found: failures by the root, module or function that they leave."""

    run: Run
    roots: dict[str, dict[Key, Escape]] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    alone: dict[str, dict[Key, Escape]] = field(default_factory=dict)
    calls: list[Escape] = field(default_factory=list)


def trace(indexes: Sequence[WheelIndex], target: Target) -> Trace:
    """Run everything; names that only a cycle hid are looked at in another round."""
    gone: frozenset[tuple[str, str]] = frozenset()
    world = World(indexes, target)
    for _ in range(_ROUNDS):
        found = _imports(world, gone)
        more = {pair for pair in found.run.pending if _missing(found.run, *pair)}
        if more <= gone:
            break
        gone |= more
    found.run.evaluator.forget()  # answers that were given while modules were half-way
    for name in sorted(world.modules):
        _functions(found.run, name, found)
    return found


def _missing(run: Run, module: str, name: str) -> bool:
    found, value = run.imports.attribute(module, name)
    return found == "no" and value is None


def _imports(world: World, gone: frozenset[tuple[str, str]]) -> Trace:
    run = Run(world, gone)
    found = Trace(run)
    for index in world.indexes:
        for top in roots(index):
            module = run.imports.load(top)
            if module is not None:
                found.roots[top] = module.escapes
    found.reached = {name for name, module in run.modules.items() if module.status == "done"}
    for name in sorted(world.modules):
        module = run.imports.load(name)
        if module is not None and module.escapes:
            found.alone[name] = module.escapes
    return found


def _functions(run: Run, name: str, found: Trace) -> None:
    module = run.modules.get(name)
    if module is None:
        return
    known: dict[str, bool] = {}
    for function, entry in module.entry.get("functions", {}).items():
        scope = function.rpartition(".")[0]
        if function not in module.live and scope not in module.live:
            continue
        if _fine(run, module, entry[4], known):
            continue
        found.calls.extend(run.run_function(module, function).values())


def _fine(run: Run, module: Module, chains: list[str] | None, known: dict[str, bool]) -> bool:
    """Tell whether a function that only uses chains finds them all."""
    if chains is None:
        return False
    for chain in chains:
        there = known.get(chain)
        if there is None:
            there = known[chain] = run.attributes.missing(chain, Frame(module)) is None
        if not there:
            return False
    return True


def failures(found: Trace) -> list[Failure]:
    """Return every failure that was met, handled or not."""
    return list(found.run.failures.values())
