"""Import statements, names of modules, and what is not there."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

from envlock.audit.resolve.escapes import Escapes
from envlock.audit.resolve.stars import star
from envlock.audit.resolve.state import TABLES, Module, Names
from envlock.audit.resolve.stdlib import MODULE_NAMES
from envlock.audit.resolve.tabled import tabled
from envlock.audit.resolve.values import (
    ENV,
    NONE,
    HexVersion,
    PythonVersion,
    Value,
    constant,
)

if TYPE_CHECKING:
    from envlock.audit.model import Target
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Frame

Found = Literal["yes", "maybe", "no"]

_DEPTH = 220
_NOWHERE = frozenset({"missing", "stranger"})


class Imports:
    """The import system of the symbolic run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._world = run.world
        self.depth = 0
        self.settled: dict[str, tuple[str, ...]] = {}
        self._texts: dict[str, frozenset[str]] = {}
        self._targets = _told(run.world.target)
        self._standards: dict[str, tuple[Found, Value | None]] = {}

    def module(self, name: str) -> Module | None:
        """Return a module of the locked set as it is by now, without running it."""
        known = self._run.modules.get(name)
        if known is None:
            entry = self._world.modules.get(name)
            if entry is None or self._world.find(name) != "module":
                return None
            known = Module(name, entry, Escapes(self._run.numbers))
            self._run.modules[name] = known
            self.reset(known)
        return known

    def reset(self, module: Module) -> None:
        """Make a module one that was never run."""
        entry = module.entry
        module.names = Names()
        module.status = "new"
        module.open = (
            entry["kind"] not in {"py", "pkg"}
            or bool(entry.get("open"))
            or module.name in self._world.hooked
        )
        module.escapes = Escapes(self._run.numbers)
        module.exported, module.exports_unknown = None, False
        module.live = set()
        module.changed()
        module.stored, module.unit, module.checked = None, None, ""
        module.binders = {}
        for shared in entry.get("globals", ()):
            module.names.bind(shared, None, certain=False)

    def load(self, name: str) -> Module | None:
        """Run a module once, after its parents."""
        module = self._run.modules.get(name)
        if module is None or module.status == "new":
            module = self._load(name)
        if module is not None:
            self._run.looks.loaded(module)
        return module

    def _load(self, name: str) -> Module | None:
        known = self._run.modules.get(name)
        if known is not None and known.status != "new":
            return known
        parent = name.rpartition(".")[0]
        if parent:
            self._load(parent)
        module = self.module(name)
        if module is not None and module.status == "new" and self.depth < _DEPTH:
            if module.entry["kind"] in {"py", "pkg"}:
                self.depth += 1
                try:
                    replay = self._run.replay
                    if replay is None or not replay.reuse(module):
                        self._run.run_module(module)
                finally:
                    self.depth -= 1
            else:
                module.status = "done"
        return module

    def statement(self, name: str, frame: Frame, line: int) -> bool:
        """Run ``import name``; False where it fails and nothing catches that."""
        name = self._world.canonical(name)
        if name in self.settled:
            self._resettle(name)
            self._note(name, frame, line)
            return True
        prefixes, find, fine = _prefixes(name), self._world.find, True
        for prefix in prefixes:
            existence = find(prefix)
            if existence in _NOWHERE:
                self._missing(name if existence == "missing" else prefix, existence, frame, line)
                return False
            if existence == "module" and not self._loaded(prefix, frame, line):
                fine = False  # a break further on must not hide behind this one
        if not fine:
            return False
        self._note(name, frame, line)
        for prefix in prefixes:
            if not self._is_settled(prefix):
                return True
        self.settled[name] = prefixes
        return True

    def _resettle(self, name: str) -> None:
        """Note what a statement asked when it was found to have nothing to say."""
        notes = self._run.notes
        if notes is None or (name, "") in notes.said:
            return
        notes.said.add((name, ""))
        for prefix in self.settled[name]:
            self._world.find(prefix)
            module = self._run.modules.get(prefix)
            if module is not None:
                self._run.looks.loaded(module)

    def _is_settled(self, name: str) -> bool:
        """Tell whether importing a module again has nothing to say."""
        module = self._run.modules.get(name)
        if module is None:
            return self._world.find(name) in {"stdlib", "space"}
        return module.status == "done" and not module.escapes

    def _loaded(self, name: str, frame: Frame, line: int) -> bool:
        if name == frame.module.name:
            return True
        module = self.load(name)
        if module is None or module.status == "running":
            return True
        if module.escapes.all:
            self._run.pass_on(module, line)
        return not module.escapes.certain

    def _missing(self, name: str, existence: str, frame: Frame, line: int) -> None:
        if existence == "stranger" and self._beside(name, frame):
            return
        failure = self._run.failure(
            "module-missing",
            frame,
            line,
            name,
            "",
            "ModuleNotFoundError",
            optional=existence == "stranger",
        )
        self._run.fail(failure)

    def _beside(self, name: str, frame: Frame) -> bool:
        """Tell whether a module may be in a folder that its user puts on ``sys.path``."""
        top = name.rpartition(".")[2]
        return self._world.ask("t", f"{frame.module.name} {top}") == "yes"

    def _note(self, name: str, frame: Frame, line: int) -> None:
        """Remember which distribution is used where, while nothing guards it."""
        if not self._run.clauses and not self._run.unsure and not frame.function:
            self._run.want(frame.module.name, name, line)

    def names(
        self, module: str, pairs: list[list[str]], frame: Frame, line: int
    ) -> dict[str, Value | None]:
        """Run ``from module import ...`` and return what it binds (``*`` apart)."""
        bound: dict[str, Value | None] = {}
        module = self._world.canonical(module)
        there = self.statement(module, frame, line)
        for name, alias in pairs:
            if name == "*":
                if there:
                    star(self._run, module, frame)
                continue
            value: Value | None = None
            if there:
                value = self._from(module, name, frame, line)
            bound[alias] = value
        return bound

    def _from(self, module: str, name: str, frame: Frame, line: int) -> Value | None:
        found, value = self.attribute(module, name)
        child = f"{module}.{name}"
        if found != "yes" and self._world.find(child) in {"module", "space", "stdlib"}:
            self.statement(child, frame, line)
            return ("m", child) if found == "no" or self._unbound_yet(module, name) else None
        if found == "no" and self._strange(module, child) and self._beside(child, frame):
            return None
        if found == "no" and not self._world.own(frame.module.name, module):
            failure = self._run.failure(
                "name-missing", frame, line, module, name, "ImportError",
                optional=self._strange(module, child),
            )  # fmt: skip
            self._run.fail(failure)
            return None
        if value is not None and value[0] == "m" and value[1] == child:
            self.statement(child, frame, line)
        return value

    def _unbound_yet(self, module: str, name: str) -> bool:
        """While a package runs, ``from . import sub`` can only mean the submodule."""
        state = self._run.modules.get(module)
        running = state is not None and state.status == "running" and not state.open
        return running and state is not None and name not in state.names.bound

    def _strange(self, module: str, child: str) -> bool:
        return self._world.ask("x", module) == "yes" and self._world.find(child) == "stranger"

    def attribute(self, module: str, name: str) -> tuple[Found, Value | None]:
        """Tell whether a module has a name, and to what it is bound."""
        existence = self._world.find(module)
        if existence == "stdlib":
            return self._standard(module, name)
        state = self.module(module)
        if state is None:
            if existence == "space" and name not in MODULE_NAMES:
                child = f"{module}.{name}"
                known = self._world.find(child)
                if known in {"module", "space"}:
                    return ("yes" if self._run.loaded(child) else "maybe"), ("m", child)
                return ("no" if known == "stranger" else "maybe"), None
            return "maybe", None
        self._run.looks.glance(state, name)
        entry = state.names.bound.get(name)
        if entry is not None and entry[0]:
            return "yes", entry[1]
        if (entry is not None or state.open) and self._refused(state, name):
            return "no", None
        return ("maybe", entry[1]) if entry is not None else self._unbound(state, name)

    def _refused(self, state: Module, name: str) -> bool:
        """Tell whether a finished module's ``__getattr__`` says of a name that it is gone."""
        if not state.entry.get("getattr") or state.status != "done" or state.broken:
            return False
        texts = self._texts.get(state.name)
        if texts is None:
            texts = self._texts[state.name] = frozenset(state.entry.get("strings") or ())
        if name not in texts:
            return False
        self._run.looks.look(state)
        return self._run.getters.refuses(state, name)

    def _unbound(self, state: Module, name: str) -> tuple[Found, Value | None]:
        child = f"{state.name}.{name}"
        if self._run.loaded(child):
            return "yes", ("m", child)
        self._run.looks.look(state)
        if name in MODULE_NAMES or state.open or state.status == "new" or state.broken:
            return "maybe", None
        if name in (state.exported or ()) or self._world.given(child):
            return "maybe", None
        if TABLES in state.names.bound:
            return tabled(state, name), None
        if state.status == "running":
            self._run.pending.setdefault(state.name, set()).add(name)
            return ("no" if (state.name, name) in self._run.gone else "maybe"), None
        if state.entry.get("closed"):
            return ("maybe" if name in state.entry["strings"] else "no"), None
        if state.entry.get("getattr") or "__getattr__" in state.names.bound:
            return self._run.getters.module_getattr(state, name)
        if self._world.find(child) == "module":
            return "no", ("m", child)
        return "no", None

    def _standard(self, module: str, name: str) -> tuple[Found, Value | None]:
        child = f"{module}.{name}"
        special = self._targets.get(child)
        if special is not None:
            return "yes", special
        if self._world.find(child) == "stdlib" and self._world.stdlib.is_module(child):
            return "yes", ("m", child)
        found = self._standards.get(child)
        if found is None:
            found = self._standards[child] = self._object(module, name)
        return found

    def _object(self, module: str, name: str) -> tuple[Found, Value | None]:
        if self._world.stdlib.lacks(module, name):
            return "no", None
        names = self._world.stdlib.names(module)
        return ("yes" if names is None or name in names else "maybe"), ("o", module, name)

    def find_spec(self, name: str) -> Value:
        """Evaluate ``importlib.util.find_spec(name)``."""
        existence = self._world.find(name)
        if existence in {"missing", "stranger"}:
            return NONE
        return ENV if existence == "unknown" else ("m", name)


def _told(target: Target) -> dict[str, Value]:
    """Return what a target tells of itself, by the names that have it."""
    major, minor = target.version
    known = {
        "sys.platform": target.platform,
        "sys.version_info": PythonVersion((major, minor, 0, "final", 0)),
        "sys.hexversion": HexVersion(major << 24 | minor << 16 | 0xF0),
        "sys.maxsize": 2**63 - 1,
        "sys.byteorder": "little",
        "os.name": target.os_name,
        "typing.TYPE_CHECKING": False,
    }
    return {name: constant(value) for name, value in known.items()}


@functools.lru_cache(maxsize=1 << 14)
def _prefixes(name: str) -> tuple[str, ...]:
    """Return a module's packages from the top on, and itself."""
    parts = name.split(".")
    return tuple(".".join(parts[:end]) for end in range(1, len(parts) + 1))
