"""Functions that find all that they may ask for need not be run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.resolve.library import FAILING
from envlock.audit.resolve.state import Frame, Names

if TYPE_CHECKING:
    from envlock.audit.index.quick import Item
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module
    from envlock.audit.resolve.values import Value

_ELSEWHERE = frozenset({"module", "space", "stdlib"})


class Quick:
    """Looks for what the functions of one module may ask for."""

    def __init__(self, run: Run, module: Module) -> None:
        self._run = run
        self._module = module
        self._frame = Frame(module)
        self._known: dict[str, bool] = {}

    def fine(self, function: str, asked: list[Item] | None) -> bool:
        """Tell whether everything is there; asked: see :mod:`envlock.audit.index.quick`.

        function: any where nothing is imported.
        """
        if asked is None:
            return False
        frame, known = self._frame, self._known
        for item in asked:
            if isinstance(item, list):
                if frame is self._frame:
                    frame, known = Frame(self._module, function, Names()), {}
                if not self._imported(item, frame):
                    return False
                continue
            there = known.get(item)
            if there is None:
                there = known[item] = self._there(item, frame)
            if not there:
                return False
        return True

    def _there(self, item: str, frame: Frame) -> bool:
        if not item.endswith(")"):
            return self._run.attributes.missing(item, frame) is None
        target = item[:-2]
        called = self._run.evaluator.chain(target, frame)
        name = f"{called[1]}.{called[2]}" if called[0] == "o" else target
        return name not in FAILING

    def _imported(self, item: list[Any], frame: Frame) -> bool:
        """Run an import that has nothing to say; False where it may have."""
        kind, name, more = item
        imports, names = self._run.imports, frame.names
        assert names is not None
        module = self._run.world.canonical(name)
        if module not in imports.settled:
            return False
        imports.statement(module, frame, 0)
        if kind == "i":
            value: Value | None = ("m", name if more else name.partition(".")[0])
            if more and "." in name:
                value = self._run.executor.part(name)
            names.bind(more or name.partition(".")[0], value)
            return True
        for one, alias in more:
            fine, value = self._member(module, one, frame)
            if not fine:
                return False
            names.bind(alias, value)
        return True

    def _member(self, module: str, name: str, frame: Frame) -> tuple[bool, Value | None]:
        """Tell whether ``from module import name`` has nothing to say, and what it binds."""
        imports = self._run.imports
        found, value = imports.attribute(module, name)
        child = f"{module}.{name}"
        if found != "yes" and self._run.world.find(child) in _ELSEWHERE:
            value = ("m", child) if found == "no" else None
        elif found == "no":
            return False, None
        elif value is None or value[0] != "m" or value[1] != child:
            return True, value
        if child not in imports.settled:
            return False, None
        imports.statement(child, frame, 0)
        return True, value
