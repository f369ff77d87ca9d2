"""Reduced expressions evaluated with three-valued logic."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from envlock.audit.model import Need, Place
from envlock.audit.resolve.library import (
    BUILTINS,
    FIELDS,
    KNOWN,
    call_builtin,
    call_method,
)
from envlock.audit.resolve.state import (
    BranchEndError,
    CaughtError,
    Failure,
    Frame,
    ReturnedError,
)
from envlock.audit.resolve.stdlib import MODULE_NAMES
from envlock.audit.resolve.values import (
    DATA,
    ENV,
    FALSE,
    TRUE,
    Value,
    compare,
    constant,
    is_unknown,
    item,
    of_truth,
    parse_version,
    truth,
    weaker,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module

DEPTH = 5
_VERSIONS = frozenset({"parse", "Version", "parse_version", "LooseVersion", "StrictVersion"})


class Evaluator:
    """Evaluates expressions in a frame; calls of known functions are run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.depth = 0
        self._results: dict[tuple[Any, ...], Value] = {}

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Evaluate for one module, whatever was called before and is being called."""
        saved = self.depth, self._results
        self.depth, self._results = 0, {}
        try:
            yield
        finally:
            self.depth, self._results = saved

    def value(self, reduced: Any, frame: Frame, line: int = 0) -> Value:
        """Evaluate a reduced expression."""
        handler = self._HANDLERS.get(reduced[0]) if reduced else None
        return handler(self, reduced, frame, line) if handler else DATA

    def _constant(self, reduced: Any, _frame: Frame, _line: int) -> Value:
        return constant(reduced[1])

    def _keys(self, reduced: Any, _frame: Frame, _line: int) -> Value:
        return ("t", frozenset(reduced[1]))

    def _set(self, reduced: Any, _frame: Frame, _line: int) -> Value:
        return constant(tuple(reduced[1]))

    def _not(self, reduced: Any, frame: Frame, line: int) -> Value:
        state = truth(self.value(reduced[1], frame, line))
        return of_truth({"yes": "no", "no": "yes"}.get(state, state))  # type: ignore[arg-type]

    def _and(self, reduced: Any, frame: Frame, line: int) -> Value:
        unknown: list[Value] = []
        value: Value = TRUE
        for part in reduced[1]:
            value = self._perhaps(unknown, part, frame, line)
            state = truth(value)
            if state == "no":
                return value
            if state != "yes":
                unknown.append(value)
        return weaker(*unknown) if unknown else value

    def _or(self, reduced: Any, frame: Frame, line: int) -> Value:
        unknown: list[Value] = []
        value: Value = FALSE
        for part in reduced[1]:
            value = self._perhaps(unknown, part, frame, line)
            state = truth(value)
            if state == "yes" and not unknown:
                return value
            if state == "yes":
                return TRUE
            if state != "no":
                unknown.append(value)
        return weaker(*unknown) if unknown else value

    def _perhaps(self, unknown: list[Value], reduced: Any, frame: Frame, line: int) -> Value:
        """Evaluate what is evaluated only if some unknown values are true, or are not.

        What fails in it is as uncertain as in a branch that hangs on them.
        """
        if not unknown:
            return self.value(reduced, frame, line)
        run, env = self._run, weaker(*unknown) is ENV
        counts = env or frame.names is None or run.importing
        run.unsure += counts
        run.env += env
        try:
            return self.value(reduced, frame, line)
        finally:
            run.unsure -= counts
            run.env -= env

    def _compare(self, reduced: Any, frame: Frame, line: int) -> Value:
        _, operator, left, right = reduced
        return compare(operator, self.value(left, frame, line), self.value(right, frame, line))

    def _item(self, reduced: Any, frame: Frame, line: int) -> Value:
        value = self.value(reduced[1], frame, line)
        index = reduced[2]
        if index[0] == "slice":
            return item(value, index[1:])
        inner = self.value(index, frame, line)
        table = value[1] if self._run.asking and value[0] == "t" and inner[0] == "c" else ()
        if table and inner[1] not in table:
            self._absent(str(inner[1]), frame, line)
        return item(value, inner[1]) if inner[0] == "c" else ENV

    def _own(self, reduced: Any, frame: Frame, line: int) -> Value:
        """``globals()[name]`` raises KeyError for what a finished module does not bind."""
        name, module = self.value(reduced[1], frame, line), frame.module
        if frame.foreign:
            self._run.looks.look(module)
        if name[0] != "c" or module.status != "done" or module.loose or module.broken:
            return ENV
        entry = module.names.bound.get(name[1])
        if entry is not None or name[1] in MODULE_NAMES:
            return entry[1] or ENV if entry is not None and entry[0] else ENV
        self._absent(str(name[1]), frame, line)
        return ENV

    def _absent(self, name: str, frame: Frame, line: int) -> None:
        """Raise the KeyError of a key that a table does not have."""
        module = frame.module
        index = self._run.world.owner[module.name]
        place = Place(
            distribution=index.name, version=index.version, module=module.name,
            function=frame.function, file=module.entry["file"], line=line,
        )  # fmt: skip
        need = Need(module=module.name, name=name, provider=index.name)
        self._run.fail(Failure("attribute-missing", place, need, "KeyError"))

    def _tuple(self, reduced: Any, frame: Frame, line: int) -> Value:
        parts = [self.value(part, frame, line) for part in reduced[1]]
        if all(part[0] == "c" for part in parts):
            return constant(tuple(part[1] for part in parts))
        return ("tup", tuple(parts))

    def _ints(self, reduced: Any, frame: Frame, line: int) -> Value:
        value = self.value(reduced[1], frame, line)
        if value[0] != "c" or not isinstance(value[1], tuple):
            return value if is_unknown(value) else ENV
        try:
            return constant(tuple(int(part) for part in value[1]))
        except (TypeError, ValueError):
            return ENV

    def _choice(self, reduced: Any, frame: Frame, line: int) -> Value:
        test = self.value(reduced[1], frame, line)
        state = truth(test)
        if state in {"yes", "no"}:
            return self.value(reduced[2 if state == "yes" else 3], frame, line)
        one, two = (self._perhaps([test], part, frame, line) for part in reduced[2:])
        return one if one == two else ENV if state == "env" else DATA

    def _name(self, reduced: Any, frame: Frame, _line: int) -> Value:
        return self.chain(reduced[1], frame)

    def head(self, name: str, frame: Frame) -> Value:
        """Look a plain name up as Python would."""
        current: Frame | None = frame
        while current is not None and current.names is not None:
            entry = current.names.bound.get(name)
            if entry is not None:
                return (entry[1] or DATA) if entry[0] else DATA
            if name in current.local:
                return DATA
            current = current.outer
        if frame.foreign:
            self._run.looks.glance(frame.module, name)
        entry = frame.module.names.bound.get(name)
        if entry is not None:
            value = entry[1] or self._exported(name, frame.module)
            return value if entry[0] else ENV
        return ("b", name) if name in BUILTINS else ENV

    def _exported(self, name: str, module: Module) -> Value:
        """Return ``__all__`` of a finished module, where a ``__getattr__`` asks."""
        told = name == "__all__" and self._run.asking and module.status == "done" and module.lists
        return ("t", frozenset(module.exported or ())) if told else ENV

    def chain(self, dotted: str, frame: Frame) -> Value:
        """Follow an attribute chain as far as modules go."""
        if "." not in dotted:
            return self.head(dotted, frame)
        head, *rest = dotted.split(".")
        value = self.head(head, frame)
        for place, name in enumerate(rest):
            if value[0] == "m":
                value = self._member(value[1], name)
            elif value[0] == "o":
                value = self._inside(value, name)
            elif value[0] == "c" and isinstance(value[1], tuple) and name in FIELDS:
                value = item(value, FIELDS[name])
            elif value[0] in {"c", "t"} and place == len(rest) - 1:
                return ("bound", value, name)
            else:
                return value if is_unknown(value) else ENV
        return value

    def _member(self, module: str, name: str) -> Value:
        found, value = self._run.imports.attribute(module, name)
        if name in {"__version__", "VERSION"} and (value is None or is_unknown(value)):
            version = self._run.world.version_of(module)
            return constant(version) if version else ENV
        return value or ENV if found == "yes" or (value and value[0] == "o") else ENV

    def _inside(self, value: Value, name: str) -> Value:
        if (value[1], value[2], name) == ("sys", "implementation", "name"):
            return constant("cpython")
        return ("o", value[1], f"{value[2]}.{name}")

    def _call(self, reduced: Any, frame: Frame, line: int) -> Value:
        target, args = reduced[1], reduced[2]
        keywords = reduced[3] if len(reduced) > 3 else {}
        function = self.chain(target, frame)
        values = [self.value(arg, frame, line) for arg in args]
        kind = function[0]
        if kind == "f":
            named = {key: self.value(word, frame, line) for key, word in keywords.items()}
            return self.call(function, values, named)
        if kind == "bound":
            return call_method(function[1], function[2], values)
        if kind == "b":
            return call_builtin(self._run, function[1], args, values, frame, line)
        full = f"{function[1]}.{function[2]}" if kind == "o" else target
        known = KNOWN.get(full)
        if known is not None:
            result: Value = known(self._run, values, frame, line)
            return result
        return self._stranger(target, function, values)

    def _stranger(self, target: str, function: Value, values: list[Value]) -> Value:
        last = target.rpartition(".")[2]
        if last in _VERSIONS and values and values[0][0] in {"c", "v"}:
            return values[0] if values[0][0] == "v" else parse_version(values[0][1])
        if last in {"find_spec", "find_loader"} and values and values[0][0] == "c":
            return self._run.imports.find_spec(str(values[0][1]))
        return DATA if function is DATA else ENV

    def _method_call(self, reduced: Any, frame: Frame, line: int) -> Value:
        receiver = self.value(reduced[1], frame, line)
        args = [self.value(arg, frame, line) for arg in reduced[3]]
        if is_unknown(receiver):
            return receiver
        return call_method(receiver, reduced[2], args)

    def call(self, function: Value, args: list[Value], named: dict[str, Value]) -> Value:
        """Run a known function and return what it returns."""
        _, name, key = function
        module = self._run.imports.load(name)
        entry = module.entry["functions"].get(key) if module is not None else None
        if module is None or entry is None or entry[1] is None or self.depth >= DEPTH:
            return ENV
        memo = (name, key, tuple(args), tuple(sorted(named.items())))
        if memo in self._results:
            return self._results[memo]
        self._results[memo] = ENV  # what a recursion sees
        self.depth += 1
        before = self._run.count()
        value, raised = ENV, False
        try:
            self._run.code(module)
            if (self._run.importing or self._run.asking) and not self._run.unsure:
                value = self._run.executor.call(
                    entry, Frame(module, key, foreign=True), args, named
                )
            else:
                value = self._apart(lambda: self.plain(entry, module, key, args, named))
        except CaughtError:
            raised = self._run.asking
            raise
        finally:
            self.depth -= 1
            self._results[memo] = value
            if raised or self._run.count() != before or module.status != "done":
                del self._results[memo]
        return value

    def plain(
        self, entry: Any, module: Module, key: str, args: list[Value], named: dict[str, Value]
    ) -> Value:
        return self._run.executor.call(entry, Frame(module, key, foreign=True), args, named)

    def _apart(self, action: Callable[[], Value]) -> Value:
        """Evaluate without consequences: whatever fails makes the value unknown."""
        run = self._run
        saved = run.clauses, run.unsure, run.importing
        run.clauses, run.unsure, run.importing = [run.new_clause([[None, []]])], 0, False
        run.clauses[0].unsure = 0
        try:
            return action()
        except (CaughtError, ReturnedError, BranchEndError):
            return ENV
        finally:
            run.clauses, run.unsure, run.importing = saved

    _HANDLERS: ClassVar[dict[str, Any]] = {
        "c": _constant,
        "keys": _keys,
        "set": _set,
        "not": _not,
        "and": _and,
        "or": _or,
        "cmp": _compare,
        "sub": _item,
        "own": _own,
        "tup": _tuple,
        "if": _choice,
        "ints": _ints,
        "n": _name,
        "call": _call,
        "meth": _method_call,
    }
