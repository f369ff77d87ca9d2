"""Statements of the skeleton, run symbolically."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from envlock.audit.resolve.clauses import run_try, settle
from envlock.audit.resolve.exporting import exports
from envlock.audit.resolve.state import (
    BranchEndError,
    Clause,
    Failure,
    Frame,
    Names,
    ReturnedError,
)
from envlock.audit.resolve.tabled import tables, update
from envlock.audit.resolve.values import DATA, ENV, NONE, Value, is_unknown, truth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.audit.nodes import Node
    from envlock.audit.resolve.run import Run


class Executor:
    """Runs blocks of nodes in a frame."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def block(self, nodes: Sequence[Node], frame: Frame) -> None:
        """Run nodes one after another."""
        handlers = self._HANDLERS
        for node in nodes:
            handlers[node[0]](self, node, frame)

    def function(self, entry: Any, frame: Frame) -> None:
        """Run a function's body whose arguments nobody knows."""
        _, _, body, local, _ = entry
        frame.names = Names()
        frame.local = frozenset(local)
        saved = self._run.unsure
        try:
            self.block(body, frame)
        finally:
            self._run.unsure = saved

    def call(self, entry: Any, frame: Frame, args: list[Value], named: dict[str, Value]) -> Value:
        """Run a function with arguments and return its result."""
        _, params, body, local, _ = entry
        frame.names = Names()
        frame.local = frozenset((*local, *(params or ())))
        for name, value in (*zip(params or (), args, strict=False), *named.items()):
            frame.names.bind(name, value)
        saved = self._run.unsure
        sure = True
        try:
            self.block(body, frame)
        except ReturnedError:
            pass
        except BranchEndError:
            sure = False
        else:
            frame.returns.append((True, NONE))
        finally:
            self._run.unsure = saved
        if self._run.asking and frame.returns:
            return ENV
        values = [value for _, value in frame.returns]
        if not values or not sure:
            return ENV
        first = values[0]
        if all(value == first for value in values):
            return first
        return ENV if any(value is not DATA for value in values) else DATA

    def _bind(self, frame: Frame, name: str, value: Value | None, *, certain: bool = True) -> None:
        if frame.names is None or name in frame.shared:
            if frame.names is not None:
                self._run.bound(frame.module, name, value)
            frame.module.names.bind(name, value, certain=certain and frame.names is None)
        else:
            frame.names.bind(name, value, certain=certain)

    def _import(self, node: Node, frame: Frame) -> None:
        _, line, name, alias = node
        there = self._run.imports.statement(name, frame, line)
        value: Value | None = ("m", name if alias else _top(name))
        if there and alias and "." in name:
            value = self.part(name)
        self._bind(frame, alias or _top(name), value)

    def part(self, name: str) -> Value | None:
        """Return what ``import a.b as c`` binds: the attribute, which may be another thing."""
        package, _, tail = name.rpartition(".")
        found, value = self._run.imports.attribute(package, tail)
        return value if found == "yes" else ("m", name)

    def _from(self, node: Node, frame: Frame) -> None:
        _, line, module, pairs = node
        if module == "__future__":
            for _, alias in pairs:
                self._bind(frame, alias, None)
            return
        for name, value in self._run.imports.names(module, pairs, frame, line).items():
            self._bind(frame, name, value)

    def _chain(self, node: Node, frame: Frame) -> None:
        self._run.attributes.use(node[2], frame, node[1])

    def _annotation(self, node: Node, frame: Frame) -> None:
        if self._run.world.target.version < (3, 14):
            self._run.attributes.use(node[2], frame, node[1])

    def _effect(self, node: Node, frame: Frame) -> None:
        run = self._run
        if (run.importing and not run.unsure) or node[2][1].rpartition(".")[2] in {
            "import_module",
            "__import__",
        }:
            run.evaluator.value(node[2], frame, node[1])

    def _assign(self, node: Node, frame: Frame) -> None:
        value = self._run.evaluator.value(node[2], frame)
        self._bind(frame, node[1], None if is_unknown(value) else value)

    def _update(self, node: Node, frame: Frame) -> None:
        update(self._run, node, frame)

    def _assign_tuple(self, node: Node, frame: Frame) -> None:
        value = self._run.evaluator.value(node[2], frame)
        parts: list[Value | None] = [None] * len(node[1])
        if value[0] == "tup" and len(value[1]) == len(parts):
            parts = list(value[1])
        elif value[0] == "c" and isinstance(value[1], tuple) and len(value[1]) == len(parts):
            parts = [("c", part) for part in value[1]]
        for name, part in zip(node[1], parts, strict=True):
            known = part is not None and not is_unknown(part)
            self._bind(frame, name, part if known else None)

    def _names(self, node: Node, frame: Frame) -> None:
        for name in node[1]:
            self._bind(frame, name, None)

    def _delete(self, node: Node, frame: Frame) -> None:
        names = frame.module.names if frame.names is None else frame.names
        for name in node[1]:
            names.unbind(name)

    def _global(self, node: Node, frame: Frame) -> None:
        frame.shared.update(node[1])

    def _define(self, node: Node, frame: Frame) -> None:
        frame.module.live.add(node[2])
        if node[1]:
            self._bind(frame, node[1], ("f", frame.module.name, node[2]))

    def _nested(self, node: Node, frame: Frame) -> None:
        _, name, _, _, body, local = node
        if self._run.importing:
            return  # it is made, not called
        saved = self._run.clauses, self._run.unsure
        self._run.clauses = []
        inner = Frame(frame.module, f"{frame.function}.{name}", Names(), frozenset(local))
        inner.foreign = frame.foreign
        inner.outer = frame
        try:
            self.block(body, inner)
        except (ReturnedError, BranchEndError):
            pass
        finally:
            self._run.clauses, self._run.unsure = saved

    def _class(self, node: Node, frame: Frame) -> None:
        frame.module.live.add(node[1])
        inner = Frame(frame.module, frame.function, Names(), frozenset())
        inner.foreign = frame.foreign
        inner.outer = frame if frame.names is not None else None
        inner.branches = frame.branches
        self.block(node[2], inner)

    def _set(self, node: Node, frame: Frame) -> None:
        owner, _, name = node[1].rpartition(".")
        value = self._run.evaluator.chain(owner, frame)
        if value[0] == "m":
            self._run.world.give(f"{value[1]}.{name}")

    def _any_global(self, _node: Node, frame: Frame) -> None:
        """Any constant may be another one now (kombu's and celery's STATICA_HACK)."""
        names = frame.module.names
        for name, (certain, value) in list(names.bound.items()):
            if value is not None and value[0] == "c":
                names.bind(name, None, certain=certain)

    def _inject(self, node: Node, _frame: Frame) -> None:
        self._run.world.inject(node[1])

    def _tables(self, node: Node, frame: Frame) -> None:
        tables(self._run, node, frame)

    def _exports(self, node: Node, frame: Frame) -> None:
        exports(self._run, node, frame)

    def _raise(self, node: Node, frame: Frame) -> None:
        _, line, error, bare = node
        if frame.handling:
            cause = frame.handling[-1]
            if not bare:
                cause = Failure(
                    cause.kind, cause.place, cause.need, error, cause.optional, root=cause
                )
            self._run.fail(cause)
        elif not bare and self._counts(error, frame):
            self._run.refused = line
            self._run.fail(
                self._run.failure("raises", frame, line, frame.module.name, error, error)
            )
        raise BranchEndError

    def _counts(self, error: str, frame: Frame) -> bool:
        """Only what surely runs raises; in functions only what imports or clauses wait for."""
        if frame.branches or self._run.unsure:
            return False
        if frame.names is None or self._run.clauses:
            return True
        return self._run.importing and error in {"ImportError", "ModuleNotFoundError"}

    def _return(self, node: Node, frame: Frame) -> None:
        value = self._run.evaluator.value(node[1], frame) if node[1] else DATA
        if self._run.asking and frame.branches:
            self._run.unsure += 1  # a name may be answered here: what follows is not sure
        frame.returns.append((frame.branches == 0, value))
        if frame.branches == 0:
            raise ReturnedError
        raise BranchEndError

    def _loop(self, node: Node, frame: Frame) -> None:
        self._branches(DATA, [node[1], []], frame)

    def _with(self, node: Node, frame: Frame) -> None:
        unsure = self._run.unsure
        clause = Clause([[["?"], []]], unsure)
        self._run.clauses.append(clause)
        try:
            self.block(node[1], frame)
        finally:
            self._run.clauses.pop()
        settle(self._run, frame, unsure)

    def _if(self, node: Node, frame: Frame) -> None:
        _, test, then, other = node
        value = self._run.evaluator.value(test, frame)
        state = truth(value)
        if state == "yes":
            self.block(then, frame)
        elif state == "no":
            self.block(other, frame)
        else:
            self._branches(ENV if state == "env" else DATA, [then, other], frame)

    def _branches(self, condition: Value, bodies: list[list[Node]], frame: Frame) -> None:
        """Run both ways of a condition that nobody can decide, and join what they leave."""
        names = frame.module.names if frame.names is None else frame.names
        run = self._run
        counts = condition is ENV or frame.names is None or run.importing
        ends: list[dict[str, Any] | None] = []
        for body in bodies:
            if not body:
                ends.append({})
                continue
            names.fork()
            frame.branches += 1
            run.unsure += counts
            run.env += condition is ENV
            returned = False
            try:
                self.block(body, frame)
            except BranchEndError:
                returned = True
            finally:
                frame.branches -= 1
                run.unsure -= counts
                run.env -= condition is ENV
                end = names.rewind()
            ends.append(None if returned else end)
        if all(end is None for end in ends):
            raise BranchEndError
        names.merge(ends[0], ends[1])
        caught = frame.names is not None or bool(run.clauses)
        matters = condition is ENV or (frame.names is not None and run.importing)
        if matters and caught and None in ends and not run.asking:
            # the rest runs only if this branch was not taken; outside of any try a module that
            # raises there cannot be imported either way
            run.unsure += 1

    def _try(self, node: Node, frame: Frame) -> None:
        run_try(self, self._run, node, frame)

    def _invalid(self, node: Node, frame: Frame) -> None:
        """What one Python cannot parse an older one cannot either, and a newer one may."""
        _, line, python = node
        if not (3, 7) <= self._run.world.target.version <= tuple(python):
            frame.module.open = True
            return
        name, error = frame.module.name, "SyntaxError"
        self._run.fail(self._run.failure("raises", frame, line, name, error, error))
        raise BranchEndError

    def _scan(self, node: Node, frame: Frame) -> None:
        """A loader that reads its own directory runs the files that it names."""
        package = frame.module.name
        if self._run.notes is not None:
            self._run.notes.safe = False  # which files there are is not noted
        if frame.module.entry["kind"] != "pkg":
            package = package.rpartition(".")[0]
        stems = {file.rpartition("/")[2][:-3] for file in node[2]}
        for name in self._run.world.below(package):
            inner = name[len(package) + 1 :].split(".")
            if len(inner) <= 2 and inner[-1] in stems:
                self._run.imports.statement(name, frame, node[1])

    _HANDLERS: ClassVar[dict[str, Any]] = {
        "i": _import,
        "f": _from,
        "x": _chain,
        "x!": _annotation,
        "e": _effect,
        "=": _assign,
        "U": _update,
        "=t": _assign_tuple,
        "b": _names,
        "d": _delete,
        "g": _global,
        "D": _define,
        "N": _nested,
        "k": _class,
        "s": _set,
        "G": _any_global,
        "M": _inject,
        "T": _tables,
        "a": _exports,
        "r": _raise,
        "v": _return,
        "l": _loop,
        "w": _with,
        "?": _if,
        "t": _try,
        "L": _scan,
        "S": _invalid,
    }


def _top(name: str) -> str:
    return name.partition(".")[0]
