"""Looks at modules: their state is read when it is wanted, and who looked is noted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.audit.resolve.holding import restore
from envlock.audit.resolve.notes import UnfinishedError

if TYPE_CHECKING:
    from envlock.audit.resolve.notes import Notes
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module


class Looks:
    """Every look of one module at another one's state goes through here."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def loaded(self, module: Module) -> None:
        """Note that a module was imported."""
        if self._run.notes is not None:
            self._touch(self._run.notes, module, "l")

    def wake(self, module: Module) -> None:
        """Read the state of a module that was taken over."""
        if module.stored is not None:
            restore(module, module.stored())

    def look(self, module: Module) -> None:
        """Look at all that a module holds."""
        self.wake(module)
        if self._run.notes is not None:
            self._touch(self._run.notes, module, "m")

    def glance(self, module: Module, name: str) -> None:
        """Look at one name of a module."""
        if module.stored is not None:
            self.wake(module)
        notes, tracer = self._run.notes, self._run.tracer
        if notes is None or tracer is None or module in notes.home:
            return
        if module.unit is not None or module.status != "done" or module.checked:
            self._touch(notes, module, "m")
        elif (module.name, name) not in notes.said or module.binders:
            notes.said.add((module.name, name))
            tracer.read(notes, module, name)

    def _touch(self, notes: Notes, module: Module, kind: str) -> None:
        """Note that a module was loaded, or looked into (``kind`` l, m)."""
        running = kind == "l" and module.status == "running"
        if module.checked and not (running and module.checked == module.name):
            raise UnfinishedError(module.checked)
        if running:
            notes.events["r", module.name, ""] = None
        elif module.unit is not None:
            root = module.unit.root
            if root.loose and notes.checking is None:
                root.loose = False
                notes.merge(root)
            notes.low = min(notes.low, root.index)
        elif module.status == "new":
            notes.events["n", module.name, ""] = None
        elif self._run.tracer is not None:
            self._run.tracer.touch(notes, module, kind)
