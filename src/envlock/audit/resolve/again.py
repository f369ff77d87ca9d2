"""Modules that import each other: what was asked of one before it was done.

A name that is asked of a module under way may come later, so the answer is "maybe".  When the
module is done and the name never came, the answer was wrong: everything since the module began
is forgotten and it is run again, with the names known to be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a run had come when a module began."""

    modules: int
    begun: int
    failures: int
    handled: int
    wanted: int
    settled: int
    undo: int
    moved: int
    gone: int
    injected: int
    gifts: int

    @classmethod
    def of(cls, run: Run) -> Mark:
        """Return where a run is now."""
        return cls(
            len(run.modules),
            len(run.begun),
            len(run.failures),
            len(run.journal),
            len(run.wanted),
            len(run.imports.settled),
            len(run.undo),
            len(run.moved),
            len(run.gone),
            len(run.world.injected),
            len(run.world.gifts),
        )

    def undo_all(self, run: Run) -> None:
        """Forget what came since, and which names turned out to be gone."""
        self.back(run)
        while len(run.gone) > self.gone:
            run.gone.popitem()

    def back(self, run: Run) -> None:
        """Forget what came since; dictionaries keep the order of what was put into them."""
        for known, length in (
            (run.modules, self.modules),
            (run.failures, self.failures),
            (run.wanted, self.wanted),
            (run.imports.settled, self.settled),
        ):
            while len(known) > length:
                known.popitem()
        while len(run.undo) > self.undo:
            module, name, entry = run.undo.pop()
            module.names.unbind(name)
            if entry is not None:
                module.names.bind(name, entry[1], certain=entry[0])
            module.changed()
        while len(run.moved) > self.moved:
            failure, place = run.moved.pop()
            failure.place = place
        while len(run.journal) > self.handled:
            key, before = run.journal.pop()
            if before is None:
                run.handled.pop(key, None)
            else:
                run.handled[key] = before
        for module in run.begun[self.begun :]:
            run.imports.reset(module)
        del run.begun[self.begun :]
        run.world.take_back(self.injected, self.gifts)


def hidden(run: Run, module: Module) -> set[tuple[str, str]]:
    """Return what was asked of a module while it ran, and is not there now that it is done."""
    asked = run.pending.get(module.name)
    if not asked:
        return set()
    saved = run.clauses, run.sinks, run.unsure, run.importing
    run.clauses, run.sinks, run.unsure, run.importing = [], [], 0, False
    try:
        return {
            (module.name, name)
            for name in sorted(asked)
            if (module.name, name) not in run.gone
            and run.imports.attribute(module.name, name) == ("no", None)
        }
    finally:
        run.clauses, run.sinks, run.unsure, run.importing = saved
