"""A module's control flow, reduced to what matters to imports: :mod:`envlock.audit.nodes`."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from envlock.audit.index.dynamic import scanned_files, scans_and_loads
from envlock.audit.index.exports import added_all, table_all
from envlock.audit.index.expressions import UNKNOWN, dotted
from envlock.audit.index.handlers import exception_types, handler_types, without_setup
from envlock.audit.index.literals import Literals
from envlock.audit.index.prune import prune
from envlock.audit.index.targets import (
    bind_targets,
    bound_names,
    matched,
    member_names,
    places,
    stored_names,
)
from envlock.audit.index.uses import defaults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.audit.index.uses import Uses
    from envlock.audit.nodes import Node

_ASKING = frozenset({"i", "f", "e", "x"})


class Skeleton:
    """Builds the nodes of one module and its table of functions.

    lists: a function changes ``__all__``.
    """

    def __init__(self, tree: ast.Module, text: str, uses: Uses, package: str) -> None:
        self.uses = uses
        self.package = package
        self.functions: dict[str, Node] = {}
        self.globals: set[str] = set()
        self.lists = False
        self.literals = Literals(uses.grows)
        self.decided: list[tuple[int, int]] = []
        self._scans = scans_and_loads(text)
        self._lazy_annotations = False
        self._qualified: list[str] = []
        self._classes: set[str] = set()
        self._enums: dict[str, list[str]] = {}
        self.locals: list[set[str]] = []
        body = self.block(tree.body)
        self.body, self.functions = prune(body, self.functions, methods="meta_path" in text)

    def block(self, statements: Sequence[ast.stmt]) -> list[Node]:
        """Return the nodes of a list of statements."""
        out: list[Node] = []
        for statement in statements:
            handler = self._STATEMENTS.get(type(statement))
            if handler is not None:
                handler(self, statement, out)
            elif self.uses.hot(statement):
                out.extend(self.uses.all_of(_children(statement)))
        return out

    def bind(self, names: Sequence[str], out: list[Node]) -> None:
        """Record plain bindings, joining neighbours."""
        if not names:
            return
        if self.locals:
            self.locals[-1].update(names)
        if out and out[-1][0] == "b":
            out[-1][1].extend(names)
        else:
            out.append(["b", list(names)])

    def _import(self, node: ast.Import, out: list[Node]) -> None:
        out.extend(["i", node.lineno, alias.name, alias.asname or ""] for alias in node.names)

    def _import_from(self, node: ast.ImportFrom, out: list[Node]) -> None:
        module = node.module or ""
        if module == "__future__" and not node.level:
            self._lazy_annotations |= any(alias.name == "annotations" for alias in node.names)
        if node.level:
            base = self.package.split(".") if self.package else []
            if node.level - 1 >= len(base) + (not self.package):
                return
            base = base[: len(base) - node.level + 1]
            module = ".".join([*base, *([module] if module else [])])
        names = [[alias.name, alias.asname or alias.name] for alias in node.names]
        out.append(["f", node.lineno, module, names])
        if any(alias == "__all__" for _, alias in names) and not self.locals:
            out.append(["a", "of", module])

    def _expression(self, node: ast.Expr, out: list[Node]) -> None:
        value = node.value
        if type(value) is ast.Call:
            changed = table_all(value)
            self.lists |= changed is not None and bool(self.locals)
            if changed is not None and not self.locals:
                out.append(changed)
                return
            added = None if self.locals else self.literals.updated(value)
            out.extend([added] if added is not None else [])
        out.extend(self.uses.of(value))
        if type(value) is ast.Call and not value.args and not self.locals:
            # a helper that is given names may bind them: public(name=value)
            self._perhaps([word.arg for word in value.keywords if word.arg is not None], out)

    def _perhaps(self, names: list[str], out: list[Node]) -> None:
        """Record names that somebody else may bind."""
        if names and not self._qualified:
            out.append(["l", [["b", names]]])

    def _assign(self, node: ast.Assign, out: list[Node]) -> None:
        out.extend(self.uses.of(node.value))
        out.extend(self.uses.all_of(places(node.targets)))
        bind_targets(self, node.targets, node.value, out)

    def _annotated(self, node: ast.AnnAssign, out: list[Node]) -> None:
        if node.value is not None:
            out.extend(self.uses.of(node.value))
        out.extend(self.uses.all_of(places([node.target])))
        if not self.locals:
            self._notes([node.annotation], out)
        if node.value is not None:
            bind_targets(self, [node.target], node.value, out)
        elif not self.locals:
            self._perhaps(bound_names(node.target), out)  # declared: somebody puts it there

    def _notes(self, annotations: Sequence[ast.expr | None], out: list[Node]) -> None:
        """Record annotations: evaluated at once, before Python 3.14 and without the future."""
        if not self._lazy_annotations:
            used = self.uses.all_of(annotations)
            out.extend(["x!", *use[1:]] for use in used if use[0] == "x")

    def _augmented(self, node: ast.AugAssign, out: list[Node]) -> None:
        out.extend(self.uses.all_of([*places([node.target]), node.value]))
        if type(node.target) is ast.Name:
            if node.target.id == "__all__" and not self.locals:
                out.append(added_all(node.value))
            else:
                self.lists |= node.target.id == "__all__"
                self.bind([node.target.id], out)

    def _delete(self, node: ast.Delete, out: list[Node]) -> None:
        out.extend(self.uses.all_of(places(node.targets)))
        names = [target.id for target in node.targets if type(target) is ast.Name]
        if names:
            out.append(["d", names])

    def _if(self, node: ast.If, out: list[Node]) -> None:
        chain: list[ast.If] = [node]
        while len(chain[-1].orelse) == 1 and type(chain[-1].orelse[0]) is ast.If:
            chain.append(chain[-1].orelse[0])
        other = self.block(chain[-1].orelse)
        for link in reversed(chain):
            used = self.uses.of(link.test)
            then = self.block(link.body)
            name = link.test.target.id if type(link.test) is ast.NamedExpr else ""
            if name:
                self.bind([name], used)
            other = [*used, ["?", link.test, then, other]] if then or other else used
        out.extend(other)

    def _loop(self, node: ast.For | ast.While | ast.AsyncFor, out: list[Node]) -> None:
        body: list[Node] = []
        if isinstance(node, ast.While):
            out.extend(self.uses.of(node.test))
        else:
            out.extend(self.uses.of(node.iter))
            self.bind(bound_names(node.target), out)
            names = stored_names(node) or ([] if self.locals else member_names(node, self._enums))
            if names:
                self.bind(names, body)
                self.decided.append((node.lineno, node.end_lineno or node.lineno))
        body.extend(self.block(node.body))
        once = isinstance(node, ast.For) and not self.locals and self.literals.comes_once(node)
        if once and any(one[0] in _ASKING for one in body):
            out.extend(body)  # and again, since other values may decide otherwise then
        body.extend(self.block(node.orelse))
        if body:
            out.append(["l", body])

    def _with(self, node: ast.With | ast.AsyncWith, out: list[Node]) -> None:
        types: list[str] | None = []
        for item in node.items:
            out.extend(self.uses.of(item.context_expr))
            if item.optional_vars is not None:
                self.bind(bound_names(item.optional_vars), out)
            types = exception_types(item.context_expr, types)
        body = self.block(node.body)
        if not body:
            return
        if types is None:
            out.append(["w", body])
        elif types:
            out.append(["t", body, [[types, []]], [], []])
        else:
            out.extend(body)

    def _try(self, node: ast.Try, out: list[Node]) -> None:
        if (unset := without_setup(node)) is not None:
            out.extend(self.block([*unset, *node.finalbody]))
            return
        body = self.block(node.body)
        handlers = []
        for handler in node.handlers:
            inner: list[Node] = []
            if handler.name:
                self.bind([handler.name], inner)
            inner.extend(self.block(handler.body))
            handlers.append([handler_types(handler.type), inner])
        other, final = self.block(node.orelse), self.block(node.finalbody)
        if body or other or final or any(inner for _, inner in handlers):
            out.append(["t", body, handlers, other, final])

    def _raise(self, node: ast.Raise, out: list[Node]) -> None:
        if node.exc is None:
            out.append(["r", node.lineno, "", True])
            return
        out.extend(self.uses.all_of([node.exc, node.cause]))
        target = node.exc.func if type(node.exc) is ast.Call else node.exc
        chain = dotted(target) or "?"
        out.append(["r", node.lineno, chain.rpartition(".")[2], False])

    def _return(self, node: ast.Return, out: list[Node]) -> None:
        out.extend(self.uses.of(node.value))
        out.append(["v", node.value if node.value is not None else ["c", None]])

    def _alias(self, node: Any, out: list[Node]) -> None:
        """``type X = ...`` binds a name and evaluates nothing (PEP 695)."""
        self.bind([node.name.id], out)

    def _match(self, node: ast.Match, out: list[Node]) -> None:
        out.extend(self.uses.of(node.subject))
        for place, case in enumerate(node.cases):
            first, rest = matched(case)
            out.extend(self.uses.all_of(first if place == 0 else ()))
            body = self.uses.all_of(rest if place == 0 else [*first, *rest])
            body += self.block(case.body)
            if body:
                out.append(["?", UNKNOWN, body, []])

    def _global(self, node: ast.Global | ast.Nonlocal, out: list[Node]) -> None:
        if isinstance(node, ast.Global):
            self.globals.update(node.names)
            out.append(["g", list(node.names)])

    def _class(self, node: ast.ClassDef, out: list[Node]) -> None:
        out.extend(self.uses.all_of([*node.decorator_list, *node.bases]))
        out.extend(self.uses.all_of(word.value for word in node.keywords))
        key = ".".join([*self._qualified, node.name])
        name = node.name if key not in self._classes else f"{node.name}@{node.lineno}"
        self._qualified.append(name)  # which of two that one condition chooses from matters
        key = ".".join(self._qualified)
        self._classes.add(key)
        saved, self.locals = self.locals, []  # methods do not see the class's names
        try:
            body = self.block(node.body)
        finally:
            self.locals = saved
            self._qualified.pop()
        if not self._qualified and not self.locals:
            assigned = [one for one in node.body if isinstance(one, ast.Assign)]
            targets = [target for one in assigned for target in one.targets]
            self._enums[node.name] = [name for target in targets for name in bound_names(target)]
        out.append(["k", key, [_as_name(inner, key) for inner in body]])
        self.bind([node.name], out)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, out: list[Node]) -> None:
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        more = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        self._signature(node, [*every, *more], out)
        params = [one.arg for one in every]
        extra = [one.arg for one in more]
        nested = bool(self.locals)
        self._qualified.append(node.name)
        self.locals.append({*params, *extra})
        try:
            body = self.block(node.body)
        finally:
            known = sorted(self.locals.pop())
            qualified = ".".join(self._qualified)
            self._qualified.pop()
        if self._scans and (files := scanned_files(node)) is not None:
            body.insert(0, ["L", node.lineno, files])
        runs = not isinstance(node, ast.AsyncFunctionDef)
        entry = [node.lineno, params if runs else None, body, known]
        if nested:
            self.bind([node.name], out)
            out.append(["N", node.name, *entry])
            return
        key = qualified if qualified not in self.functions else f"{qualified}@{node.lineno}"
        self.functions[key] = entry
        out.append(["D", node.name, key])

    def _signature(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, every: list[ast.arg], out: list[Node]
    ) -> None:
        """Record what runs where a function is defined: decorators, defaults, annotations."""
        decorators = node.decorator_list
        first = decorators[0].lineno if decorators else node.lineno
        if not self.uses.hot_lines(first, node.body[0].lineno):
            return
        out.extend(self.uses.all_of([*decorators, *defaults(node.args)]))
        self._notes([*(one.annotation for one in every), node.returns], out)

    _STATEMENTS: ClassVar[dict[type, Any]] = {
        ast.Import: _import,
        ast.ImportFrom: _import_from,
        ast.Expr: _expression,
        ast.Assign: _assign,
        ast.AnnAssign: _annotated,
        ast.AugAssign: _augmented,
        ast.Delete: _delete,
        ast.If: _if,
        ast.For: _loop,
        ast.AsyncFor: _loop,
        ast.While: _loop,
        ast.With: _with,
        ast.AsyncWith: _with,
        ast.Try: _try,
        ast.TryStar: _try,
        ast.Raise: _raise,
        ast.Return: _return,
        ast.Match: _match,
        ast.Global: _global,
        ast.Nonlocal: _global,
        ast.ClassDef: _class,
        ast.FunctionDef: _function,
        ast.AsyncFunctionDef: _function,
        ast.Pass: None,
        ast.Break: None,
        ast.Continue: None,
    }
    if sys.version_info >= (3, 12):
        _STATEMENTS[ast.TypeAlias] = _alias


def _as_name(node: Node, key: str) -> Node:
    """Reduce the definition of a method to a name of its class, which decorators may use."""
    return ["b", [node[1]]] if node[0] == "D" and node[2].startswith(key) else node


def _children(statement: ast.stmt) -> list[ast.expr]:
    return [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr)]
