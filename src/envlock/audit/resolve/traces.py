"""What parts of a run ask and do is noted and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.resolve.holding import (
    code_of,
    digest_of,
    escapes_to_data,
    facts_of,
    outcome_of,
    state_of,
)
from envlock.audit.resolve.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.audit.resolve.escapes import Escapes
    from envlock.audit.resolve.keeping import Kept, Part, Shelf
    from envlock.audit.resolve.notes import Event
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module

_LENGTHS = {"a": 4, "l": 4}
_TOGETHER = 32
"""How many modules of a distribution are at most kept as one, unless they import each other."""


class Tracer:
    """Notes what is asked and done while modules run, and keeps it when a part is done."""

    def __init__(self, run: Run, kept: Kept) -> None:
        self._run = run
        self._kept = kept
        self.under_way: list[Notes] = []
        self._keys: dict[str, str] = {}
        self._odd = 0
        self.gone: dict[str, int] = {}

    def begin(self, module: Module) -> Notes:
        """Begin the part of a module that is about to run."""
        gone = self.gone.pop(module.name, len(self._run.gone))
        notes = Notes(len(self.under_way), gone=gone)
        notes.members.append(module)
        self.under_way.append(notes)
        module.unit = notes
        self._run.noting(notes)
        return notes

    def end(self, notes: Notes, before: Notes | None) -> None:
        """End a part: it is kept, or belongs to the unfinished one that it looked into."""
        self.under_way.pop()
        self._run.noting(before)
        if self.under_way:
            parent = self.under_way[-1]
            parent.deep = max(parent.deep, notes.deep + 1)
        if notes.low < notes.index:
            parent = self.under_way[-1]
            if parent.checking is None:
                parent.merge(notes)
            else:
                parent.checking.append(notes)
                notes.loose = True
            return
        if self._joins(notes):
            self.under_way[-1].merge(notes)
            return
        notes.active = False
        for module in notes.members:
            module.unit = None
        if notes.safe and not self._crossed(notes):
            self._keep(notes)
        notes.forget()

    def _joins(self, notes: Notes) -> bool:
        """Tell whether a part is kept with the one that imported it, which is of the same code."""
        parent = self.under_way[-1] if self.under_way else None
        if parent is None or parent.checking is not None or not (parent.safe and notes.safe):
            return False
        owner = self._run.world.owner
        same = owner[parent.members[0].name] is owner[notes.members[0].name]
        return same and len(parent.members) + len(notes.members) <= _TOGETHER

    def _crossed(self, notes: Notes) -> bool:
        """Tell whether it matters when, within this part, others put modules or names there."""
        world = self._run.world
        if notes.sets.keys() & world.hits or any(r.root is not notes for r in notes.readers):
            return True
        late = tuple(world.injected)
        return bool(late) and any(name.startswith(late) for name in notes.finds)

    def key(self, module: Module) -> str:
        """Return what tells the code of a module from others."""
        found = self._keys.get(module.name)
        if found is None:
            world, entry = self._run.world, module.entry
            marks = [entry["kind"], entry["file"], str(module.name in world.hooked)]
            digest = getattr(entry, "digest", "") or world.owner[module.name].version
            found = self._keys[module.name] = "|".join([*marks, digest])
        return found

    def digest(self, module: Module) -> str:
        """Return what tells a finished module's state from others."""
        if not module.digest:
            self._hold(module)
        return module.digest

    def touch(self, notes: Notes, module: Module, kind: str) -> None:
        """Note that a finished module was loaded or looked at."""
        key = f" {kind}"  # no name has a space
        event = module.asked.get(key)
        if event is None:
            digest = self.digest(module)
            told = (module.escapes.outcome, digest) if kind == "l" else (digest,)
            event = module.asked[key] = (kind, module.name, *told)
        notes.events[event] = None
        if kind == "l":
            return
        self._watched(module.name)
        for name in module.binders:
            self._reader(notes, module, name)

    def read(self, notes: Notes, module: Module, name: str) -> None:
        """Note that a name of a finished module was looked at."""
        event = module.asked.get(name)
        if event is None:
            try:
                code = code_of(module.names.bound.get(name))
            except TypeError:
                code = ""  # nothing is like it
            event = ("a", f"{module.name} {name}", code, self.digest(module))
            module.asked[name] = event
        notes.events[event] = None
        self._watched(event[1])
        if module.binders:
            self._reader(notes, module, name)

    def _watched(self, name: str) -> None:
        watches = self._run.world.watches
        if watches:
            self._run.world.seen(watches, name)

    def _reader(self, notes: Notes, module: Module, name: str) -> None:
        for one in module.binders.get(name, ()):
            if one.root.active:
                one.root.readers.append(notes)

    def before(self, notes: Notes, module: Module, name: str) -> None:
        """Note how a name was before a function of this part binds it."""
        notes.before.setdefault(module.name, self.digest(module))
        try:
            code = code_of(module.names.bound.get(name))
        except TypeError:
            code = ""
        notes.before.setdefault(f"{module.name} {name}", code)

    def _hold(self, module: Module) -> str:
        try:
            text = module.stored() if module.stored is not None else state_of(module)
        except TypeError:
            self._odd += 1
            text = f"odd {self._odd}"  # like no other
        module.digest = digest_of(self.key(module), text, outcome_of(module.escapes, self._run))
        return text

    def _keep(self, notes: Notes) -> None:
        first = notes.members[0]
        shelf = self._kept.of(self._run.world.owner[first.name])
        held = [(module, self._hold(module)) for module in notes.members]
        if any(text.startswith("odd") for _, text in held):
            return
        own = {module.name for module in notes.members}
        part = self._part(shelf, notes, own)
        gone = list(self._run.gone)
        # other modules that ran meanwhile have parts of their own, which tell this of them
        part["gone"] = [pair for pair in gone[notes.gone :] if pair[0] in own]
        part["known"] = self.known(gone[: notes.gone], notes.members)
        part["members"] = [
            [module.name, self.key(module), module.digest, module.escapes.outcome,
             escapes_to_data(module.escapes, self._run), shelf.add(text)]
            for module, text in held
        ]  # fmt: skip
        shelf.put("modules", first.name, part)

    def known(self, gone: Iterable[tuple[str, str]], members: Iterable[Module]) -> list[str]:
        """Return the names of some modules that were known to be gone."""
        own = {module.name for module in members}
        return sorted(f"{module} {name}" for module, name in gone if module in own)

    def _outer(self, event: Event, before: dict[str, str]) -> bool:
        """Tell whether an answer is not what this part made it itself."""
        return event[0] not in "am" or before.get(event[1], event[2]) == event[2]

    def _part(self, shelf: Shelf, notes: Notes, own: set[str]) -> Part:
        before, events = notes.before, list(notes.events)
        if own:
            events = [event for event in events if event[1].partition(" ")[0] not in own]
        if before:
            events = [event for event in events if self._outer(event, before)]
        return {
            "finds": shelf.numbered(notes.finds.items()),
            "events": shelf.numbered(
                event if len(event) == 3 else event[: _LENGTHS.get(event[0], 3)]
                for event in events
            ),
            "careful": any(event[0] in "cn" for event in notes.events),
            "failures": [facts_of(failure) for failure in notes.failures.values()],
            "handled": [[list(key), how, force] for key, (how, force) in notes.handled.items()],
            "wanted": _grouped(notes.wanted),
            "sets": list(notes.sets),
            "binds": [list(one) for one in notes.binds],
            "deep": notes.deep,
        }  # fmt: skip

    def keep_functions(self, modules: Sequence[Module], notes: Notes, calls: Escapes) -> None:
        """Keep what the functions of modules asked and gave."""
        if not notes.safe:
            return
        first = modules[0].name
        shelf = self._kept.of(self._run.world.owner[first])
        part = self._part(shelf, notes, set())
        part["key"] = self.keys(modules)
        part["calls"] = escapes_to_data(calls, self._run)
        shelf.put("functions", first, part)

    def keys(self, modules: Iterable[Module]) -> str:
        """Return what tells the code of modules from others."""
        return digest_of(*(part for one in modules for part in (one.name, self.key(one))))


def _grouped(wanted: Iterable[tuple[str, str, int]]) -> dict[str, list[Any]]:
    """Return what modules import and at which line, one behind the other, by the module."""
    found: dict[str, list[Any]] = {}
    for module, name, line in wanted:
        found.setdefault(module, []).extend((name, line))
    return found
