"""Parts of earlier runs, used again where the world gives the same answers.

The run goes on in its usual order.  Where a module would be run, a kept part that begins with
it is checked instead: what it asked is asked again, in its order (modules that it imports are
loaded, from what is kept or by running them), and if every answer is the same, its results
are taken over.  Up to the first answer that differs the run itself would have done the same;
so the module can simply be run from there, and the result is that of a run without anything
kept.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from envlock.audit.resolve.again import Mark
from envlock.audit.resolve.holding import code_of, escapes_from_data, value_from_data
from envlock.audit.resolve.notes import Notes, UnfinishedError, Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.audit.resolve.escapes import Escapes
    from envlock.audit.resolve.keeping import Kept, Part, Shelf
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module
    from envlock.audit.resolve.traces import Tracer

_DEEPEST = 200


def _watch(part: Part) -> Watch:
    """Return what nobody may look at before a part has changed it."""
    binds = {name for module, variable, _ in part["binds"] for name in _both(module, variable)}
    return Watch(frozenset({*part["sets"], *binds}))


def _both(module: str, variable: str) -> tuple[str, str]:
    return module, f"{module} {variable}"


class Replay:
    """Takes over kept parts whose answers are the same."""

    def __init__(self, run: Run, tracer: Tracer, kept: Kept) -> None:
        self._run = run
        self._tracer = tracer
        self._kept = kept
        self._blocked: set[str] = set()
        self._turn = 0
        self._tripped = False

    def reuse(self, module: Module) -> bool:
        """Take over a kept part that begins with a module; False where there is none."""
        if module.name in self._blocked:
            return False
        shelf = self._kept.of(self._run.world.owner[module.name])
        for part in shelf.modules.get(module.name, ()):
            if self._fits(part) and self._finds(shelf, part):
                mark, depth = Mark.of(self._run), len(self._tracer.under_way)
                try:
                    same = self._checked(shelf, module, part)
                except UnfinishedError as error:
                    del self._tracer.under_way[depth:]
                    self._back(mark, module)
                    if error.args[0] != module.name:
                        raise
                    self._blocked.add(module.name)
                    return False
                if same and self._taken(shelf, part):
                    return True
                if same or part["careful"] or self._tripped:
                    self._back(mark, module)
        return False

    def _back(self, mark: Mark, module: Module) -> None:
        """Forget what came of checking a part, if it has to look as if nothing had happened."""
        mark.undo_all(self._run)
        self._run.modules[module.name] = module
        self._tracer.gone.pop(module.name, None)

    def _fits(self, part: Part) -> bool:
        if self._run.imports.depth + part["deep"] > _DEEPEST:
            return False
        for name, key, *_ in part["members"]:
            module = self._run.imports.module(name)
            if module is None or module.status != "new" or self._tracer.key(module) != key:
                return False
        members = [self._run.modules[name] for name, *_ in part["members"]]
        return not (part["known"] or self._run.gone) or part["known"] == self._tracer.known(
            self._run.gone, members
        )

    def _finds(self, shelf: Shelf, part: Part) -> bool:
        world, questions, numbers = self._run.world, shelf.questions, part["finds"]
        if shelf.found.current(world.era).issuperset(numbers):
            return True
        for number in numbers:
            name, answer = questions[number]
            if (world.found.get(name) or world.find(name)) != answer:
                return False
        shelf.found.current(world.era).update(numbers)
        return True

    def _checked(self, shelf: Shelf, entry: Module, part: Part) -> bool:
        """Ask everything again; meanwhile nobody may look into the members."""
        before, run = self._run.notes, self._run
        members = [run.modules[name] for name, *_ in part["members"]]
        notes = self._tracer.begin(entry)
        watch = _watch(part)
        if watch.names:
            run.world.watches.append(watch)
        loose = notes.checking = []
        run.noting(Notes(notes.index, checking=[]))  # the module itself does not ask this
        try:
            for module in members:
                module.status, module.checked = "running", entry.name
            same = self._hold_all(shelf, part, watch) and not loose and not watch.tripped
            self._tripped = watch.tripped
            if not same:
                self._tracer.gone[entry.name] = notes.gone
            return same
        finally:
            if watch.names:
                run.world.watches.pop()
            for module in members:
                module.status, module.checked, module.unit = "new", "", None
            if self._tracer.under_way and self._tracer.under_way[-1] is notes:
                self._tracer.under_way.pop()
            self._run.noting(before)

    def _hold_all(self, shelf: Shelf, part: Part, own: Watch | None = None) -> bool:
        """Ask everything again; brackets are around what was asked and then forgotten."""
        questions = shelf.questions
        others = [watch for watch in self._run.world.watches if watch is not own]
        plain = "l" if others else "alm"
        marks: list[Mark] = []
        for number in part["events"]:
            event = questions[number]
            if event[0] in plain and self._unchanged(event):
                continue
            if event[0] == "(":
                marks.append(Mark.of(self._run))
            elif event[0] == ")":
                marks.pop().back(self._run)
                if self._tracer.under_way and self._tracer.under_way[-1].checking:
                    self._tracer.under_way[-1].checking.clear()
            elif not self._holds(event, others):
                return False
        return True

    def _unchanged(self, event: Sequence[str]) -> bool:
        """Tell whether a question is about a finished module that is known to be as it was.

        Nearly all of them are, and this is all that there is to say of those.
        """
        name = event[1] if event[0] != "a" else event[1].partition(" ")[0]
        module = self._run.modules.get(name)
        return (
            module is not None
            and module.digest == event[-1]
            and module.status == "done"
            and module.unit is None
        )

    def _holds(self, event: Sequence[str], others: Sequence[Watch]) -> bool:
        kind, name, answer = event[:3]
        run = self._run
        if others and (kind in "am" or (kind == "j" and answer == "no")):
            run.world.seen(others, name)
        if kind == "l":
            module = run.imports.load(name)
            return module is not None and self._same(module, event[3], outcome=answer)
        if kind == "a":
            name, _, variable = name.partition(" ")
            module = run.modules.get(name)
            return module is not None and self._reads(module, variable, answer, event[3])
        if kind == "m":
            module = run.modules.get(name)
            return module is not None and self._same(module, answer)
        if kind == "k":
            module = run.modules.get(name)
            return module is not None and self._tracer.key(module) == answer
        if kind in {"r", "n"}:
            module = run.modules.get(name)
            status = module.status if module is not None else "new"
            return status == ("running" if kind == "r" else "new")
        if kind == "c":
            return run.loaded(name) == (answer == "yes")
        return run.world.ask(kind, name) == answer

    def _same(self, module: Module, digest: str, outcome: str = "-") -> bool:
        if module.status != "done" or module.unit is not None:
            return False
        return self._tracer.digest(module) == digest or module.escapes.outcome == outcome

    def _reads(self, module: Module, name: str, code: str, digest: str) -> bool:
        if self._same(module, digest):
            return True
        if module.status != "done" or module.unit is not None or not code:
            return False
        self._run.looks.wake(module)
        try:
            return code_of(module.names.bound.get(name)) == code
        except TypeError:
            return False

    def _taken(self, shelf: Shelf, part: Part) -> bool:
        """Take a part over; False where a failure that it passes on is not known here."""
        try:
            self._take(shelf, part)
        except KeyError:
            return False
        return True

    def _take(self, shelf: Shelf, part: Part) -> None:
        run = self._run
        self._effects(part)
        run.gone.update(dict.fromkeys(tuple(pair) for pair in part["gone"]))
        leaving = {}
        for name, _, digest, outcome, escapes, place in part["members"]:
            module = run.imports.module(name)
            if module is None:
                continue
            run.begun.append(module)
            module.status, module.digest = "done", digest
            module.stored = functools.partial(shelf.text, *place)
            leaving[name] = escapes, outcome
        while leaving:
            self._leave(next(iter(leaving)), leaving)
        if self._tracer.under_way:
            parent = self._tracer.under_way[-1]
            parent.deep = max(parent.deep, part["deep"] + 1)

    def _leave(self, name: str, leaving: dict[str, tuple[Any, str]]) -> None:
        """Give a module what leaves it, after those of its part from which that comes."""
        escapes, outcome = leaving.pop(name)
        for first, *_ in escapes:
            if isinstance(first, str) and first in leaving:
                self._leave(first, leaving)
        module = self._run.modules[name]
        module.escapes = escapes_from_data(escapes, self._run)
        module.escapes.outcome = outcome

    def _effects(self, part: Part) -> None:
        """Do what a part did; it is nothing that the part under way does itself."""
        before = self._run.notes
        self._run.noting(Notes(0, active=False))
        try:
            self._do(part)
        finally:
            self._run.noting(before)

    def _do(self, part: Part) -> None:
        run = self._run
        for made in part["failures"]:
            run.failed(*made)
        for (kind, code, need, variable), how, force in part["handled"]:
            run.treat((kind, code, need, variable), how, force=force)
        for module, wanted in part["wanted"].items():
            for name, line in zip(wanted[::2], wanted[1::2], strict=True):
                run.want(module, name, line)
        for name in part["sets"]:
            run.world.give(name)
        for name, variable, value in part["binds"]:
            run.rebind(name, variable, value_from_data(value))

    def functions(self, modules: Sequence[Module]) -> Escapes | None:
        """Take over what the functions of modules gave, or return None.

        All modules were run by now: what was answered stays so until functions bind something.
        """
        first = modules[0].name
        shelf, key = self._kept.of(self._run.world.owner[first]), self._tracer.keys(modules)
        for part in shelf.functions.get(first, ()):
            if part["key"] == key and self._finds(shelf, part) and self._still(shelf, part):
                self._effects(part)
                if part["binds"] or part["sets"]:
                    self._turn += 1
                return escapes_from_data(part["calls"], self._run)
        self._turn += 1
        return None

    def _still(self, shelf: Shelf, part: Part) -> bool:
        """Ask what functions asked again, unless that was done."""
        asked, numbers = shelf.asked.current(self._turn), part["events"]
        if asked.issuperset(numbers):
            return True
        same = self._hold_all(shelf, part)
        if same:
            asked.update(numbers)
        return same
