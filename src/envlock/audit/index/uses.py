"""What an expression touches when it runs: attribute chains, calls, imports by name."""

from __future__ import annotations

import ast
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from envlock.audit.index.expressions import UNKNOWN, dotted
from envlock.audit.index.targets import bound_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.audit.nodes import Node

_LEAVES = frozenset({ast.Constant, ast.Name, type(None)})
_ITERATED = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})
_LITERALS = (ast.List, ast.Tuple, ast.Set)
_SCALARS = frozenset({"id", "attr", "arg", "ops", "op", "ctx", "conversion", "is_async", "kind",
                      "str"})  # fmt: skip
_KINDS: tuple[type[ast.AST], ...] = (*ast.expr.__subclasses__(), ast.keyword, ast.comprehension)
_PARTS: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _SCALARS) for kind in _KINDS
}
_WORD = re.compile(r"[A-Za-z_]\w*")
_DEF = re.compile(r"def(?<!\wdef)\s+([A-Za-z_]\w*)")
_ALWAYS = frozenset({"import_module", "__import__", "find_spec"})

# A word before a dot or a bracket; behind a dot it begins nothing.
_ANY = re.compile(rb"[A-Za-z_\x80-\xff][\w\x80-\xff]*+(?=[.(])")
_FIRST = re.compile(rb"(?<![\w.])[A-Za-z_\x80-\xff][\w\x80-\xff]*+(?=[.(])")


class Uses:
    """Finds what matters in expressions; lines without a known name are not looked at."""

    def __init__(self, source: bytes, text: str) -> None:
        self.imported = _imported(text)
        self.defined = set(_DEF.findall(text))
        words = self.imported.union(self.defined, _ALWAYS)
        self._quiet = {word.encode("utf-8", "replace") for word in words}.isdisjoint
        self._words = (_ANY if any(word in text for word in _ALWAYS) else _FIRST).findall
        self._source = source
        self._ends = list(accumulate(map(len, source.splitlines(keepends=True)), initial=0))

    def hot(self, node: ast.stmt | ast.expr) -> bool:
        """Tell whether a node's lines name anything of interest."""
        return self.hot_lines(node.lineno, node.end_lineno or node.lineno)

    def hot_lines(self, first: int, last: int) -> bool:
        """Tell whether lines name anything of interest; they count from 1."""
        try:
            lines = self._source[self._ends[first - 1] : self._ends[last]]
        except IndexError:  # an encoding that hides line ends
            return True
        return not self._quiet(self._words(lines))

    def grows(self, name: str) -> bool:
        """Tell whether a method of a list of this name is called, or an item of it is set."""
        pattern = rf"\b{re.escape(name)}\s*(\.\s*\w+\s*\(|\[[^\]]*\]\s*=[^=])"
        return re.search(pattern.encode(), self._source) is not None

    def of(self, node: ast.expr | None) -> list[Node]:
        """Return the nodes of one expression; conditional parts stay under their condition."""
        if node is None or type(node) in _LEAVES or not self.hot(node):
            return []
        out: list[Node] = []
        stack: list[ast.AST] = [node]
        while stack:
            current = stack.pop()
            kind = type(current)
            if kind in _LEAVES:
                continue
            if kind is ast.Attribute:
                self._attribute(current, out, stack)  # type: ignore[arg-type]
            elif kind is ast.IfExp or kind is ast.BoolOp:
                self._choice(current, out)
            elif kind is ast.Lambda:
                stack.extend(defaults(current.args))  # type: ignore[attr-defined]
            elif kind in _ITERATED:
                self._iterated(current, out)
            elif kind is ast.Compare and len(current.ops) > 1:  # type: ignore[attr-defined]
                self._compared(current, out)  # type: ignore[arg-type]
            else:
                if kind is ast.Call:
                    self._call(current, out)  # type: ignore[arg-type]
                fields = current.__dict__
                for name in _PARTS[kind]:
                    value = fields[name]
                    if value.__class__ is list:
                        stack.extend(value)
                    else:
                        stack.append(value)
        return out

    def all_of(self, nodes: Iterable[ast.expr | None]) -> list[Node]:
        """Return the nodes of several expressions."""
        return [found for node in nodes if node is not None for found in self.of(node)]

    def _attribute(self, node: ast.Attribute, out: list[Node], stack: list[ast.AST]) -> None:
        chain = dotted(node)
        if chain is None:
            inner: ast.expr = node.value
            while type(inner) is ast.Attribute:
                inner = inner.value
            stack.append(inner)
        elif chain.partition(".")[0] in self.imported and type(node.ctx) is ast.Load:
            out.append(["x", node.lineno, chain])

    def _choice(self, node: ast.AST, out: list[Node]) -> None:
        if type(node) is ast.IfExp:
            out.extend(self.of(node.test))
            then, other = self.of(node.body), self.of(node.orelse)
            if then or other:
                out.append(["?", node.test, then, other])
        elif type(node) is ast.BoolOp:
            first, *rest = node.values
            out.extend(self.of(first))
            inner = self.of(rest[0]) if len(rest) == 1 else self._rest(node, rest)
            if inner:
                then, other = (inner, []) if type(node.op) is ast.And else ([], inner)
                out.append(["?", first, then, other])

    def _rest(self, node: ast.BoolOp, rest: list[ast.expr]) -> list[Node]:
        out: list[Node] = []
        for value in reversed(rest):
            own = self.of(value)
            if out:
                then, other = (out, []) if type(node.op) is ast.And else ([], out)
                out = [["?", value, then, other]]
            out = [*own, *out]
        return out

    def _compared(self, node: ast.Compare, out: list[Node]) -> None:
        """Of ``a < b < c`` the third is evaluated only if the first two are as is said."""
        out.extend(self.all_of([node.left, node.comparators[0]]))
        rest = self.all_of(node.comparators[1:])
        if rest:
            out.append(["?", UNKNOWN, rest, []])

    def _iterated(self, node: Any, out: list[Node]) -> None:
        """Only the first iterable is surely evaluated; targets hide names of the module."""
        first, *others = node.generators
        out.extend(self.of(first.iter))
        asked = [*first.ifs]
        for one in others:
            asked += [one.iter, *one.ifs]
        asked += [node.key, node.value] if type(node) is ast.DictComp else [node.elt]
        own = {name for one in node.generators for name in bound_names(one.target)}
        inner = _without(self.all_of(asked), own)
        if not inner:
            return
        sure = len(node.generators) == 1 and not first.ifs and type(node) is not ast.GeneratorExp
        sure = sure and isinstance(first.iter, _LITERALS) and bool(first.iter.elts)
        out.extend(inner if sure else [["l", inner]])

    def _call(self, node: ast.Call, out: list[Node]) -> None:
        target = dotted(node.func)
        if target is None:
            return
        last = target.rpartition(".")[2]
        head = target.partition(".")[0]
        if last in _ALWAYS or target in self.defined or head in self.imported:
            out.append(["e", node.lineno, node, target])


def defaults(arguments: ast.arguments) -> list[ast.expr]:
    """Return the default values of parameters: they are evaluated where the function is made."""
    return [one for one in (*arguments.defaults, *arguments.kw_defaults) if one is not None]


def _without(nodes: Sequence[Node], names: set[str]) -> list[Node]:
    """Leave out what begins with names that a comprehension binds."""
    kept: list[Node] = []
    for node in nodes:
        if node[0] == "?":
            then, other = _without(node[2], names), _without(node[3], names)
            if then or other:
                kept.append(["?", node[1], then, other])
        elif node[0] == "l":
            inner = _without(node[1], names)
            if inner:
                kept.append(["l", inner])
        elif node[2 if node[0] == "x" else 3].partition(".")[0] not in names:
            kept.append(node)
    return kept


def _imported(text: str) -> set[str]:
    """Return every word that stands behind an ``import``: more than the imported names."""
    words: set[str] = set()
    for part in text.split("import ")[1:]:
        clause = part.lstrip(" ")
        if clause.startswith("("):
            clause = clause.partition(")")[0]
        else:
            end = clause.find("\n")
            while end > 0 and clause[end - 1] in "\\\r":
                end = clause.find("\n", end + 1)
            clause = clause if end < 0 else clause[:end]
        words.update(_WORD.findall(clause))
    return words
